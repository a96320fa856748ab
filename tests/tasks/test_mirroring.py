"""Whether crops may be mirrored: joints that change places have to be known."""

from pathlib import Path

import pytest

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.pose.skeleton import skeleton_from_names
from rlepose.tasks.checks import check_mirroring

NUMBERS = skeleton_from_names(tuple("1234567"))


def config_of(flip_prob: float = 0.5, flip_test: bool = True) -> Config:
    return config_from_dict({"name": "mirrored", "augment": {"flip_prob": flip_prob}, "eval": {"flip_test": flip_test}})


@pytest.mark.parametrize(("flip_prob", "flip_test"), [(0.5, False), (0, True), (0.5, True)])
def test_numbered_joints_are_not_mirrored_without_pairs(flip_prob: float, flip_test: bool) -> None:
    with pytest.raises(InputError, match=r"^data.flip_pairs: .*1, 2, 3, 4, … differ only in a number or a letter, "):
        check_mirroring(config_of(flip_prob, flip_test), NUMBERS)


@pytest.mark.parametrize(
    "names", [("nose", "left_eye", "right_eyes"), ("nose", "oko L", "oko P"), ("left_knee", "rigth_knee", "right_hip")]
)
def test_sides_without_a_twin_are_not_mirrored(names: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"^data.flip_pairs: .* or name both sides;"):
        check_mirroring(config_of(), skeleton_from_names(names))


def test_joints_of_one_side_alone_are_mirrored() -> None:
    check_mirroring(config_of(), skeleton_from_names(("left_wrist", "left_elbow", "left_shoulder")))


def test_numbered_joints_train_without_mirroring() -> None:
    check_mirroring(config_of(0, False), NUMBERS)


@pytest.mark.parametrize("pairs", [[], [("1", "2")]])
def test_numbered_joints_are_mirrored_with_pairs(case_folder: Path, pairs: list[tuple[str, str]]) -> None:
    coco = CocoFile(case_folder / "names_numbers_cvat" / "ann.json")
    with pytest.raises(InputError, match=r"^data.flip_pairs: "):
        check_mirroring(config_of(), coco.skeleton())
    check_mirroring(config_of(), coco.skeleton(flip_pairs=pairs))


@pytest.mark.parametrize(
    ("case", "pairs"),
    [("names_sleap_flies", [(3, 4), (5, 6), (7, 8), (9, 10), (11, 12)]), ("names_chinese", [(1, 2), (3, 4), (5, 6)])],
)
def test_twins_of_other_conventions_are_mirrored(case_folder: Path, case: str, pairs: list[tuple[int, int]]) -> None:
    skeleton = CocoFile(case_folder / case / "ann.json").skeleton()
    assert skeleton.flip_pairs == pairs
    check_mirroring(config_of(), skeleton)
