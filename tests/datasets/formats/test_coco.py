"""Persons of COCO files and detections: who is read, left out and refused, and the authors' crops of real pictures."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.datasets.crops import PoseDataset
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError

WriteCoco = Callable[..., Path]

NO_LABEL = [0, 0, 0] * 3
NAN = float("nan")


def persons(path: Path) -> PersonTable:
    return persons_from_annotations(CocoFile(path), path.parent)


# --- who is read ----------------------------------------------------------------------------------------------------


def test_a_person_is_read_as_it_stands(write_coco: WriteCoco) -> None:
    table = persons(write_coco([{"id": 7}], [{"id": 1}]))
    assert table.person_ids.tolist() == [7] and table.person_image_ids().tolist() == [1]
    assert table.visible.tolist() == [[2, 2, 1]]
    np.testing.assert_array_equal(table.keypoints, [[(30, 15), (50, 40), (20, 41)]])
    np.testing.assert_array_equal(table.bbox_xywh, [(10, 10, 59, 49)])
    assert table.box_score.tolist() == [1]


def test_each_person_belongs_to_its_picture(write_coco: WriteCoco) -> None:
    pictures = [{"id": 30, "file_name": "c.png"}, {"id": 10, "file_name": "sub/a.png", "width": 90}]
    table = persons(write_coco([{"image_id": 10}, {"image_id": 30}, {"image_id": 10}], pictures))
    assert table.person_image_ids().tolist() == [10, 30, 10]
    assert [table.image_path(person).name for person in range(3)] == ["a.png", "c.png", "a.png"]
    assert table.image_size_wh[table.image_index].tolist() == [[90, 80], [100, 80], [90, 80]]


def test_a_box_is_cut_at_the_pictures_border(write_coco: WriteCoco) -> None:
    table = persons(write_coco([{"bbox": [-10, 20, 500, 30]}]))
    np.testing.assert_array_equal(table.bbox_xywh, [(0, 20, 99, 29)])


def test_an_unlabelled_joint_is_stored_at_0(write_coco: WriteCoco) -> None:
    table = persons(write_coco([{"keypoints": [30, 15, 2, 50, 40, 0, 20, 41, 1]}]))
    np.testing.assert_array_equal(table.keypoints[0, 1], (0, 0))
    assert table.visible.tolist() == [[2, 0, 1]]


def test_area_and_iscrowd_may_be_missing(write_coco: WriteCoco) -> None:
    assert len(persons(write_coco([{"area": ..., "iscrowd": ...}]))) == 1


@pytest.mark.parametrize(
    ("point", "labelled"), [((-1, 40), True), ((-1.5, 40), False), ((100, 40), True), ((50, 80.5), False)]
)
def test_a_label_counts_up_to_a_pixel_outside_the_picture(
    write_coco: WriteCoco, point: tuple[float, float], labelled: bool
) -> None:
    table = persons(write_coco([{"keypoints": [*point, 2, 50, 40, 2, 20, 41, 1]}]))
    assert (table.visible[0] > 0).tolist() == [labelled, True, True]


# --- who is left out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ({"iscrowd": 1}, "crowd"),
        ({"keypoints": NO_LABEL}, "no labelled joint"),
        ({"keypoints": ...}, "no labelled joint"),
        ({"keypoints": None}, "no labelled joint"),
        ({"keypoints": NO_LABEL, "bbox": ...}, "no labelled joint"),
        ({"bbox": [10, 10, 0, 20]}, "box outside the picture"),
        ({"bbox": [300, 10, 20, 20]}, "box outside the picture"),
        ({"keypoints": [500, 500, 2, 0, 0, 0, 0, 0, 0]}, "no labelled joint inside the picture"),
        ({"category_id": 7}, "of category 7, which 'categories' lacks"),
        ({"category_id": None}, "without a category_id, or with null"),
        ({"category_id": "dog"}, "of category dog, which 'categories' lacks"),
        ({"category_id": ...}, "without a category_id, or with null"),
        ({"image_id": 99}, "with an image_id that 'images' lacks"),
        ({"image_id": "x"}, "with an image_id that 'images' lacks"),
        ({"image_id": ...}, "with an image_id that 'images' lacks"),
    ],
)
def test_a_person_to_leave_out_is_counted_with_the_reason(
    write_coco: WriteCoco, caplog: pytest.LogCaptureFixture, person: dict[str, Any], reason: str
) -> None:
    with caplog.at_level(logging.INFO, logger="rlepose"):
        table = persons(write_coco([person, {}, person]))
    assert table.person_ids.tolist() == [2] and table.left_out == {reason: 2}
    assert f"1 persons in 1 pictures; left out: 2 × {reason}\n" in caplog.text


def test_labels_outside_their_picture_are_warned_of(write_coco: WriteCoco, caplog: pytest.LogCaptureFixture) -> None:
    persons(write_coco([{"keypoints": [500, 500, 2, 50, 40, 2, -90, 0, 1]}]))
    assert "2 labels are outside their picture" in caplog.text


def test_a_file_without_a_labelled_person_is_refused_with_the_counts(write_coco: WriteCoco) -> None:
    with pytest.raises(InputError, match=r"no persons .*1 × of category 3, which 'categories' lacks, 1 × crowd"):
        persons(write_coco([{"iscrowd": 1}, {"category_id": 3}]))


def test_a_file_without_annotations_is_refused(write_coco: WriteCoco) -> None:
    with pytest.raises(InputError, match="no persons with labelled keypoints"):
        persons(write_coco([]))


# --- who is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "message"),
    [
        ({"keypoints": [30, 15, 2, 50, 40, 2]}, "keypoints: expected 9 finite numbers, got 6 values"),
        ({"keypoints": [30, 15, 2] * 4}, "keypoints: expected 9 finite numbers, got 12 values"),
        ({"keypoints": ["a", 15, 2, 50, 40, 2, 20, 41, 1]}, "keypoints: expected 9 finite numbers, got ['a', 15,"),
        ({"keypoints": [NAN, 15, 2, 50, 40, 2, 20, 41, 1]}, "keypoints: expected 9 finite numbers, got [nan, 15,"),
        (
            {"keypoints": [30, float("inf"), 2, 50, 40, 2, 20, 41, 1]},
            "keypoints: expected 9 finite numbers, got [30, inf,",
        ),
        ({"keypoints": 5}, "keypoints: expected 9 finite numbers, got 5"),
        ({"bbox": [1, 2, 3]}, "bbox: expected 4 numbers, got [1, 2, 3]"),
        ({"bbox": [1, NAN, 30, 40]}, "bbox: expected 4 finite numbers, got [1, nan, 30, 40]"),
        (
            {"keypoints": [[30, 15, 2], [50, 40, 2], [20, 41, 1]]},
            "keypoints: expected 9 finite numbers, got 3 values; write",
        ),
        ({"iscrowd": "perhaps"}, "iscrowd: expected 0 or 1, got 'perhaps'"),
    ],
)
def test_an_annotation_with_impossible_numbers_is_refused(
    write_coco: WriteCoco, person: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(f"annotations.json: annotation 5: {message}")):
        persons(write_coco([{}, {"id": 5} | person]))


@pytest.mark.parametrize("visibility", [-1, 3, 7, 0.5])
def test_an_unknown_visibility_is_refused_with_its_joint(write_coco: WriteCoco, visibility: float) -> None:
    message = f"other than 0, 1 or 2, the first is {visibility:g} in annotation 2 (joint left_hip); write 0 for"
    with pytest.raises(InputError, match=re.escape(message)):
        persons(write_coco([{}, {"keypoints": [30, 15, 2, 50, 40, visibility, 20, 41, 1]}]))


# --- real pictures against the authors' numbers ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def mini(real_data: Path) -> PoseDataset:
    root = real_data / "coco_mini"
    coco = CocoFile(root / "annotations" / "person_keypoints_val2017.json")
    return PoseDataset(persons_from_annotations(coco, root / "val2017"), coco.skeleton(), (256, 192), 1.25)


@pytest.fixture(scope="module")
def rows(mini: PoseDataset, reference: Mapping[str, NDArray]) -> list[int]:
    """The table's row of each reference person."""
    ids = mini.table.person_ids.tolist()
    return [ids.index(person) for person in reference["crops/annotation_id"]]


def test_every_real_file_has_persons_that_lie_in_their_pictures(mini: PoseDataset) -> None:
    table = mini.table
    size = table.image_size_wh[table.image_index]
    assert len(table) == 68
    assert (table.bbox_xywh[:, :2] >= 0).all()
    assert (table.bbox_xywh[:, :2] + table.bbox_xywh[:, 2:] <= size - 1 + 1e-3).all()


def test_real_boxes_are_the_authors(mini: PoseDataset, rows: Sequence[int], reference: Mapping[str, NDArray]) -> None:
    boxes = mini.table.bbox_xywh[rows]
    xyxy = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    np.testing.assert_allclose(xyxy, reference["crops/box_xyxy_clipped"], atol=1e-3)
    assert mini.table.person_image_ids()[rows].tolist() == reference["crops/image_id"].tolist()


def test_real_crop_regions_are_the_authors(
    mini: PoseDataset, rows: Sequence[int], reference: Mapping[str, NDArray]
) -> None:
    half = mini.scale[rows] / 2
    xyxy = np.concatenate([mini.center[rows] - half, mini.center[rows] + half], axis=1)
    np.testing.assert_allclose(xyxy, reference["crops/crop_box_xyxy"], atol=1e-3)


def test_real_targets_and_weights_are_the_authors(
    mini: PoseDataset, rows: Sequence[int], reference: Mapping[str, NDArray]
) -> None:
    items = [mini[0, row] for row in rows]
    weight = np.stack([item["weight"] for item in items])
    np.testing.assert_array_equal(weight, reference["crops/target_uv_weight"])
    target = np.stack([item["target"] for item in items])
    np.testing.assert_allclose(target, reference["crops/target_uv"] * weight, rtol=1e-5, atol=1e-6)


def test_real_crops_show_the_authors_pixels(
    mini: PoseDataset, rows: Sequence[int], reference: Mapping[str, NDArray]
) -> None:
    # OpenCV 4 interpolates between 32 places a pixel; OpenCV 5, like the reference, exactly.
    tolerance = 1 if int(cv2.__version__.partition(".")[0]) >= 5 else 3
    near = []
    for number, row in enumerate(rows):
        places = reference["crops/pixel_row"][number], reference["crops/pixel_column"][number]
        pixels = mini[0, row]["image"].permute(1, 2, 0).numpy()[places].astype(int)
        near.append((np.abs(pixels - reference["crops/pixel_rgb"][number]) <= tolerance).all(axis=1))
    assert np.mean(near) >= 0.999
