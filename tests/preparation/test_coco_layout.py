"""Conversions: joints arrive where they belong, and files of another layout are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.pose.joint_sets import HALPE26, HAND, WHOLEBODY
from rlepose.preparation.coco_layout import CONVERSIONS, convert_file

Dataset = Callable[[str], Path]


def joints(tree: dict[str, Any]) -> np.ndarray:
    return np.array([a["keypoints"] for a in tree["annotations"]]).reshape(len(tree["annotations"]), -1, 3)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_the_parts_of_a_whole_body_are_joined(dataset_files: Dataset) -> None:
    folder = dataset_files("coco_wholebody") / "annotations"
    old, new = read(folder / "coco_wholebody_train_v1.0.json"), read(folder / "wholebody_train.json")
    assert new["categories"][0]["keypoints"] == list(WHOLEBODY.names)
    found = joints(new)
    for first, key in ((0, "keypoints"), (17, "foot_kpts"), (23, "face_kpts"), (112, "righthand_kpts")):
        part = np.array([a[key] for a in old["annotations"]]).reshape(4, -1, 3)
        assert np.array_equal(found[:, first : first + part.shape[1]], part)
    assert found[0, 91:112, 2].all() and not found[1, 91:112].any()  # not valid
    assert new["annotations"][1]["num_keypoints"] == 112
    assert [a["area"] for a in new["annotations"]] == [3000] * 4


def test_each_valid_hand_is_a_person_of_its_own(dataset_files: Dataset) -> None:
    folder = dataset_files("coco_hands") / "annotations"
    old, new = read(folder / "coco_wholebody_train_v1.0.json"), read(folder / "hands_train.json")
    assert [a["image_id"] for a in new["annotations"]] == [0, 0, 1, 2, 2, 3, 3]
    assert np.array_equal(joints(new)[2].ravel(), old["annotations"][1]["righthand_kpts"])
    assert new["annotations"][2]["bbox"] == old["annotations"][1]["righthand_box"]
    skeleton = CocoFile(folder / "hands_train.json").skeleton()
    assert skeleton.names == HAND.names and skeleton.bones == HAND.bones and skeleton.oks_sigmas == HAND.oks_sigmas


def test_the_body_is_taken_of_halpes_joints(dataset_files: Dataset) -> None:
    root = dataset_files("halpe26")
    coco = CocoFile(root / "annotations" / "halpe26_val.json")
    assert coco.skeleton().oks_sigmas == HALPE26.oks_sigmas
    table = persons_from_annotations(coco, root / "images" / "val2017").with_pictures("error")
    assert table.keypoints.shape == (4, 26, 2) and (table.visible == 2).all()


def test_crowdposes_area_is_a_part_of_the_box(dataset_files: Dataset) -> None:
    for person in read(dataset_files("crowdpose") / "annotations" / "crowdpose_coco_test.json")["annotations"]:
        assert person["area"] == pytest.approx(0.53 * person["bbox"][2] * person["bbox"][3])


@pytest.mark.parametrize("mark", [0, -1, 1, 0.3, 2])
def test_marks_of_labels_become_cocos(write_coco: Callable[..., Path], tmp_path: Path, mark: float) -> None:
    path = write_coco([{"keypoints": [5, 6, mark] * 26}])
    convert_file(path, tmp_path / "new.json", CONVERSIONS["halpe26"])
    wanted = [0, 0, 0] if mark <= 0 else [5, 6, 1 if mark == 1 else 2]
    assert joints(read(tmp_path / "new.json"))[0].tolist() == [wanted] * 26


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.parametrize("person", [{}, {"keypoints": None}, {"keypoints": ["x"] * 78}, {"bbox": ...}])
def test_files_of_another_layout_are_refused(
    write_coco: Callable[..., Path], tmp_path: Path, name: str, person: dict[str, Any]
) -> None:
    path = write_coco([person])
    with pytest.raises(
        InputError, match=r"annotations\.json: annotations: entry 0 is not .* check that this is the right file"
    ):
        convert_file(path, tmp_path / "new.json", CONVERSIONS[name])
