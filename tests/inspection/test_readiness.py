"""What keeps the inspection from calling its config ready."""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rlepose.commands.inspect_command import COMMAND
from rlepose.config.reading import load_config
from rlepose.errors import InputError
from rlepose.inspection.inspect_dataset import inspect_dataset

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def inspect_case(case_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """inspect_case(name, *arguments, edit=…) -> exit code of the command, and its config. edit(tree) changes the
    annotations of a copy. The working folder is tmp_path.
    """

    def run(name: str, *arguments: str, edit: Edit | None = None) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        case = tmp_path / name
        shutil.copytree(case_folder / name, case)
        if edit is not None:
            tree = json.loads((case / "ann.json").read_text())
            edit(tree)
            (case / "ann.json").write_text(json.dumps(tree))
        monkeypatch.setattr("rlepose.runtime.run_log.setup_logging", lambda is_main: None)
        parser = argparse.ArgumentParser()
        COMMAND.add_arguments(parser)
        args = parser.parse_args([f"{name}/ann.json", "--images", f"{name}/images", *arguments])
        COMMAND.check(parser, args)
        code = COMMAND.run(args)
        return code or 0, (tmp_path / "inspection" / "config.yaml").read_text()

    return run


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[..., Path]:
    """pictures(*names) -> folder of pictures of 100x80 px."""

    def write(*names: str) -> Path:
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        for name in names:
            cv2.imwrite(str(folder / name), np.zeros((80, 100, 3), np.uint8))
        return folder

    return write


def test_a_sound_file_makes_a_ready_config(inspect_case: Callable[..., tuple[int, str]]) -> None:
    code, config = inspect_case("base")
    assert code == 0 and "NOT READY" not in config


@pytest.mark.parametrize(
    ("case", "there"),
    [
        ("backslash", "images/000000397133.jpg exists"),
        ("percent", "images/frame 1.jpg exists"),
        ("extension_case", "images/000000397133.JPG exists"),
    ],
)
def test_missing_pictures_are_counted_and_the_nearest_file_is_named(
    inspect_case: Callable[..., tuple[int, str]], case: str, there: str
) -> None:
    code, config = inspect_case(case)
    assert code == 1
    first, problem = config.splitlines()[:2]
    assert "NOT READY" in first and "3 of 3 pictures are missing" in problem and there in problem


def test_a_doubled_folder_is_named(inspect_case: Callable[..., tuple[int, str]]) -> None:
    def edit(tree: dict[str, Any]) -> None:
        for image in tree["images"]:
            image["file_name"] = f"images/{image['file_name']}"

    code, config = inspect_case("base", edit=edit)
    assert code == 1 and "images/images/000000397133.jpg, but base/images/000000397133.jpg exists" in config


def test_boxes_of_two_corners_are_noticed(inspect_case: Callable[..., tuple[int, str]]) -> None:
    code, config = inspect_case("boxes_xyxy")
    assert code == 1 and "read as x1, y1, x2, y2" in config.splitlines()[1]
    assert config.count("#   - ") == 1, "the areas that do not fit such boxes are the same mistake"


def boxes_of_centres(box: list[float]) -> list[float]:
    return [box[0] + box[2] / 2, box[1] + box[3] / 2, *box[2:]]


def test_boxes_of_centres_are_noticed(inspect_case: Callable[..., tuple[int, str]]) -> None:
    def edit(tree: dict[str, Any]) -> None:
        for annotation in tree["annotations"]:
            annotation["bbox"] = boxes_of_centres(annotation["bbox"])

    code, config = inspect_case("base", edit=edit)
    assert code == 1 and "read as centre x, centre y, width, height" in config.splitlines()[1]


def test_boxes_relative_to_the_picture_are_named_as_such(inspect_case: Callable[..., tuple[int, str]]) -> None:
    def edit(tree: dict[str, Any]) -> None:
        sizes = {image["id"]: (image["width"], image["height"]) for image in tree["images"]}
        for annotation in tree["annotations"]:
            size = sizes[annotation["image_id"]] * 2
            annotation["bbox"] = [side / whole for side, whole in zip(annotation["bbox"], size, strict=True)]

    with pytest.raises(InputError, match="read as x, y, width, height relative to the picture"):
        inspect_case("base", edit=edit)


def test_boxes_of_two_corners_near_the_origin_are_known_by_their_areas(write_coco: Callable[..., Path]) -> None:
    """Such boxes do not leave their pictures."""
    person = {"bbox": [4, 6, 34, 46], "area": 30 * 40, "keypoints": [10, 10, 2, 30, 40, 2, 20, 30, 2]}
    path = write_coco([person] * 3)
    (problem,) = inspect_dataset(path, None, path.parent / "out")["problems"]
    assert "read as x1, y1, x2, y2" in problem


def test_an_area_of_0_is_no_problem(inspect_case: Callable[..., tuple[int, str]]) -> None:
    code, config = inspect_case("area_0_box_fine")
    assert code == 0 and "NOT READY" not in config
    report = json.loads(Path("inspection/report.json").read_text())
    assert report["without_area"] == 3


def test_areas_beyond_their_boxes_are_noticed(inspect_case: Callable[..., tuple[int, str]]) -> None:
    """As after the boxes, but not the areas, were scaled with their pictures."""

    def edit(tree: dict[str, Any]) -> None:
        for annotation in tree["annotations"]:
            annotation["area"] *= 4

    code, config = inspect_case("base", edit=edit)
    assert code == 1 and "3 of 3 areas do not fit their boxes" in config


def test_relative_areas_are_noticed(inspect_case: Callable[..., tuple[int, str]]) -> None:
    def edit(tree: dict[str, Any]) -> None:
        for annotation in tree["annotations"]:
            annotation["area"] /= 160 * 107

    code, config = inspect_case("base", edit=edit)
    assert code == 1 and "3 of 3 areas do not fit their boxes" in config


def test_the_area_of_a_person_without_a_box_has_nothing_to_fit(
    write_coco: Callable[..., Path], pictures: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_coco([{"bbox": ..., "area": 4000}])
    assert inspect_dataset(path, pictures("picture.png"), tmp_path / "out")["problems"] == []


def test_sizes_of_upright_pictures_set_the_option(
    inspect_case: Callable[..., tuple[int, str]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        code, _ = inspect_case("exif_6_quarter_turn")
    assert "so the config has data.exif: apply" in caplog.text
    assert code == 0 and load_config(Path("inspection/config.yaml")).data.exif == "apply"
    assert not json.loads(Path("inspection/report.json").read_text())["unreadable_pictures"]


def test_orientations_that_sizes_leave_open_are_said(inspect_case: Callable[..., tuple[int, str]]) -> None:
    code, config = inspect_case("exif_3_half_turn")
    assert code == 0 and "data.exif" in config.splitlines()[1]
    assert load_config(Path("inspection/config.yaml")).data.exif == "ignore"


def test_labels_of_both_orientations_are_a_problem(inspect_case: Callable[..., tuple[int, str]]) -> None:
    def edit(tree: dict[str, Any]) -> None:
        image = tree["images"][0]
        image["width"], image["height"] = image["height"], image["width"]

    code, config = inspect_case("exif_6_quarter_turn", edit=edit)
    assert code == 1 and "EXIF" in config.splitlines()[1]


def test_pictures_of_another_size_are_a_problem(inspect_case: Callable[..., tuple[int, str]]) -> None:
    code, config = inspect_case("all_pictures_of_another_size")
    assert code == 1 and "3 of 3 pictures have another size than the annotations say" in config


def test_a_picture_that_cannot_be_read_is_a_problem(
    write_coco: Callable[..., Path], pictures: Callable[..., Path], tmp_path: Path
) -> None:
    folder = pictures()
    (folder / "picture.png").write_bytes(b"<html>")
    (problem,) = inspect_dataset(write_coco(), folder, tmp_path / "out")["problems"]
    assert "picture.png" in problem


# --- the file to validate on ---------------------------------------------------------------------------------------


def test_the_training_file_is_none_to_validate_on(inspect_case: Callable[..., tuple[int, str]]) -> None:
    code, config = inspect_case("base", "--val", "base/ann.json")
    assert code == 1 and "--val: base/ann.json is the file to train on" in config


def test_a_copy_of_the_training_file_is_none_to_validate_on(
    inspect_case: Callable[..., tuple[int, str]], case_folder: Path
) -> None:
    case = str(case_folder / "float_sizes")

    def edit(tree: dict[str, Any]) -> None:
        Path("val.json").write_text(json.dumps(tree))

    code, config = inspect_case("base", "--val", f"{case}/ann.json", "--val-images", "base/images", edit=edit)
    assert code == 1 and "--val: 3 of 3 pictures are also pictures to train on" in config


def test_a_missing_file_to_validate_on_is_a_problem(inspect_case: Callable[..., tuple[int, str]]) -> None:
    code, config = inspect_case("base", "--val", "base/val.json")
    assert code == 1 and "--val: " in config and "base/val.json" in config


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("joints", {"categories": [{"id": 1, "name": "person", "keypoints": ["nose"]}]}, "expected 3 finite"),
        ("no persons", {"annotations": []}, "no persons"),
        ("category", {"categories": [{"id": 1, "name": "cow", "keypoints": ["nose"]}]}, "no category 'person'"),
    ],
)
def test_a_file_to_validate_on_that_cannot_be_used_is_a_problem(
    write_coco: Callable[..., Path], pictures: Callable[..., Path], tmp_path: Path, name: str, change: Any, problem: str
) -> None:
    val = write_coco().rename(tmp_path / "val.json")
    val.write_text(json.dumps(json.loads(val.read_text()) | change))
    folder = pictures("picture.png")
    (found,) = inspect_dataset(write_coco(), folder, tmp_path / "out", val=(val, folder))["problems"]
    assert found.startswith("--val: ") and problem in found


def test_all_categories_of_a_file_with_one_are_all_in_the_config_and_to_validate_on(
    write_coco: Callable[..., Path], pictures: Callable[..., Path], tmp_path: Path
) -> None:
    val = write_coco(pictures=[{"file_name": "b.png"}], category={"name": "cow"}).rename(tmp_path / "val.json")
    folder = pictures("picture.png", "b.png")
    report = inspect_dataset(write_coco(), folder, tmp_path / "out", category="all", val=(val, folder))
    assert report["problems"] == []
    assert load_config(tmp_path / "out" / "config.yaml").data.category == "all"


def test_other_joints_to_validate_on_are_a_problem(
    write_coco: Callable[..., Path], pictures: Callable[..., Path], tmp_path: Path
) -> None:
    names = ["nose", "right_hip", "left_hip"]
    val = write_coco(pictures=[{"file_name": "b.png"}], category={"keypoints": names}).rename(tmp_path / "val.json")
    folder = pictures("picture.png", "b.png")
    (problem,) = inspect_dataset(write_coco(), folder, tmp_path / "out", val=(val, folder))["problems"]
    assert problem.startswith("--val: ") and "nose, right_hip, left_hip" in problem


def test_a_missing_picture_to_validate_on_is_a_problem(
    write_coco: Callable[..., Path], pictures: Callable[..., Path], tmp_path: Path
) -> None:
    val = write_coco(pictures=[{"file_name": "b.png"}]).rename(tmp_path / "val.json")
    folder = pictures("picture.png", "B.png")
    (problem,) = inspect_dataset(write_coco(), folder, tmp_path / "out", val=(val, folder))["problems"]
    assert problem.startswith("--val: 1 of 1 pictures are missing") and "B.png exists" in problem
