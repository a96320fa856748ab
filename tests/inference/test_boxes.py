"""Boxes by file name: which are taken from a file, and which picture gets them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlepose.datasets.formats.box_reader import read_boxes
from rlepose.inference.boxes import Boxes, PersonDetector, box_source
from rlepose.inference.input_picture import InputPicture

CAR, PERSON = {"id": 3, "name": "car"}, {"id": 1, "name": "person"}
HAND = {"id": 7, "name": "hand", "keypoints": ["wrist"]}


def no_detector() -> PersonDetector:
    raise AssertionError


def boxes_of(name: str, given: dict[str, Any]) -> Boxes:
    return box_source(given, None, False, no_detector)(InputPicture(name, np.zeros((9, 9, 3), np.uint8)))


def read_coco(folder: Path, categories: list[dict[str, Any]], **annotation: Any) -> list[list[float]]:
    """Boxes of a picture with a car, a person and a hand, at x = 3, 1 and 7."""
    tree = {
        "images": [{"id": 5, "file_name": "a.jpg"}],
        "categories": categories,
        "annotations": [{"image_id": 5, "category_id": i, "bbox": [i, 0, 2, 2], **annotation} for i in (3, 1, 7)],
    }
    (folder / "coco.json").write_text(json.dumps(tree))
    table = read_boxes(folder / "coco.json")
    return np.column_stack([table.bbox_xywh, table.score]).tolist()


@pytest.mark.parametrize(
    ("categories", "expected"),
    [([CAR, PERSON, HAND], [7]), ([CAR, PERSON], [1]), ([CAR], [3, 1, 7]), ([], [3, 1, 7])],
)
def test_coco_files_give_those_who_have_keypoints_else_persons(
    tmp_path: Path, categories: list[dict[str, Any]], expected: list[int]
) -> None:
    assert [box[0] for box in read_coco(tmp_path, categories)] == expected


def test_an_annotations_score_is_kept(tmp_path: Path) -> None:
    assert read_coco(tmp_path, [PERSON], score=0.7) == [[1, 0, 2, 2, 0.7]]


def test_pictures_of_one_name_get_the_boxes_of_their_folder() -> None:
    given = {"a/1.jpg": [[1, 0, 5, 5]], "b/1.jpg": [[2, 0, 5, 5]]}
    assert [boxes_of(f"data/{name}", given).bbox_xywh[0, 0] for name in given] == [1, 2]


def test_a_name_that_is_there_once_needs_no_folder() -> None:
    assert boxes_of("elsewhere/1.jpg", {"a/1.jpg": [[1, 0, 5, 5]], "a/2.jpg": []}).bbox_xywh[0, 0] == 1


def test_a_name_in_several_other_folders_is_told() -> None:
    (problem,) = boxes_of("c/1.jpg", {"a/1.jpg": [[1, 0, 5, 5]], "b/1.jpg": []}).problems
    assert "c/1.jpg: several entries in boxes match: a/1.jpg, b/1.jpg" in problem


def test_names_may_be_paths() -> None:
    given: dict[Any, Any] = {Path("a/1.jpg"): [[1, 0, 5, 5]], Path("b/1.jpg"): []}
    assert boxes_of("a/1.jpg", given).bbox_xywh[0, 0] == 1
    assert "several entries in the given boxes match: a/1.jpg, b/1.jpg" in boxes_of("c/1.jpg", given).problems[0]


def test_boxes_may_come_one_by_one() -> None:
    given = (box for box in ([1, 0, 5, 5], [2, 0, 5, 5]))
    boxes = box_source(given, 1, False, no_detector)(InputPicture("1.jpg", np.zeros((9, 9, 3), np.uint8)))
    assert boxes.bbox_xywh[:, 0].tolist() == [1, 2]
