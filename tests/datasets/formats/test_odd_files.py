"""Label files as tools write them: whole numbers otherwise written, missing boxes, and who is left out, by reason."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_entries import flag, whole_number
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.of_config import labelled_table
from rlepose.datasets.options import MissingBoxes
from rlepose.datasets.persons import PersonTable, counted
from rlepose.errors import InputError
from rlepose.evaluation.truth import truth_of
from rlepose.inspection.inspect_dataset import inspect_dataset
from rlepose.runtime.distributed import Ranks
from rlepose.tasks.model_card import model_card
from rlepose.validation.validations import build_validation

REFUSED = {"gzip", "nested_keypoints", "visibility_minus_1", "category_without_joint_names", "category_null"}


def persons_of(case: Path, missing_boxes: MissingBoxes = "joints") -> PersonTable:
    return persons_from_annotations(CocoFile(case / "ann.json", missing_boxes=missing_boxes), case / "images")


def test_persons_read_are_those_used_and_those_left_out_in_every_file(case_folder: Path) -> None:
    cases = [path.parent for path in case_folder.glob("*/ann.json") if path.parent.name not in REFUSED]
    assert len(cases) > 20
    for case in cases:
        read = json.loads((case / "ann.json").read_text())["annotations"]
        table = persons_of(case)
        assert len(read) == len(table) + sum(table.left_out.values()), case.name


def test_a_file_of_null_categories_is_refused_with_the_cause(case_folder: Path) -> None:
    with pytest.raises(InputError, match=r"left out: 3 × without a category_id, or with null"):
        persons_of(case_folder / "category_null")


def test_a_category_given_by_its_name_is_named(write_coco: Callable[..., Path]) -> None:
    path = write_coco([{}, {"category_id": "person"}, {"image_id": "picture.png"}])
    table = persons_from_annotations(CocoFile(path), path.parent)
    assert table.left_out == {
        "of category person, which 'categories' lacks": 1,
        "with an image_id that 'images' lacks": 1,
    }


@pytest.mark.parametrize("case", ["base", "category_unknown", "area_0_box_fine", "iscrowd_text"])
def test_inspection_training_validation_and_model_card_count_the_same_persons(
    case_folder: Path, tmp_path: Path, tiny_config: Callable[..., Config], case: str
) -> None:
    source = case_folder / case
    read = json.loads((source / "ann.json").read_text())["annotations"]
    report = inspect_dataset(source / "ann.json", None, tmp_path / "out")
    files = "train_annotations: ann.json, train_images: images, val_annotations: ann.json, val_images: images"
    config = tiny_config(f"data={{root: {source}, cache_dir: {tmp_path}, {files}}}", "data.num_keypoints=null")
    trained, skeleton = labelled_table(config, "train")
    validated = build_validation(config, "gt", Ranks(0, 1, torch.device("cpu"))).table
    used, left_out = report["persons"], report["left_out"]
    assert used + sum(left_out.values()) == report["annotations"] == len(read)
    for table in (trained, validated):
        assert (len(table), dict(table.left_out)) == (used, left_out)
    card = model_card(config, skeleton, {}, 1, {"training": (len(trained), trained.left_out)})
    assert f"* training: {used} persons of `{source / 'ann.json'}`; left out: {counted(left_out)}" in card


def test_an_unknown_category_is_a_reason_that_is_warned_of(case_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="rlepose"):
        table = persons_of(case_folder / "category_unknown")
    (reason,) = table.left_out
    assert "which 'categories' lacks" in reason and f"probably by mistake: {table.left_out[reason]} × " in caplog.text


@pytest.mark.parametrize(
    "case", ["category_text", "iscrowd_text", "float_sizes", "float_ids", "via_minus_1", "area_0_box_fine"]
)
def test_numbers_written_otherwise_are_read(case_folder: Path, case: str) -> None:
    table, base = persons_of(case_folder / case), persons_of(case_folder / "base")
    assert np.isin(table.keypoints[:, :, 0], base.keypoints[:, :, 0]).all() and not table.left_out


@pytest.mark.parametrize("case", ["keypoints_without_boxes", "keypoints_without_boxes_zero"])
def test_a_missing_box_is_made_from_the_joints_and_said(
    case_folder: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    table = persons_of(case_folder / case)
    low, high = table.bbox_xywh[:, None, :2], (table.bbox_xywh[:, :2] + table.bbox_xywh[:, 2:])[:, None]
    inside = (table.keypoints >= low - 1.1) & (table.keypoints <= high + 1.1)
    assert inside[table.visible > 0].all() and not table.left_out
    assert f"{len(table)} persons have no box; data.missing_boxes says what theirs is" in caplog.text


@pytest.mark.parametrize("case", ["keypoints_without_boxes", "keypoints_without_boxes_zero", "area_0_box_fine"])
def test_an_area_that_is_missing_or_0_is_the_boxs(case_folder: Path, case: str) -> None:
    truth = truth_of(CocoFile(case_folder / case / "ann.json"))
    np.testing.assert_allclose(truth.area, truth.bbox_xywh[:, 2] * truth.bbox_xywh[:, 3])
    assert (truth.area > 0).all()


def test_a_missing_box_is_the_whole_picture_where_asked(case_folder: Path) -> None:
    table = persons_of(case_folder / "keypoints_without_boxes", missing_boxes="picture")
    np.testing.assert_array_equal(table.bbox_xywh[:, 2:], table.image_size_wh[table.image_index] - 1)


def test_persons_without_a_box_are_left_out_where_asked(case_folder: Path) -> None:
    with pytest.raises(InputError, match=r"left out: 3 × box outside the picture"):
        persons_of(case_folder / "keypoints_without_boxes", missing_boxes="leave_out")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("nested_keypoints", "annotation 1: keypoints: expected 51 finite numbers, got 17 values; write one flat list"),
        ("visibility_minus_1", "the first is -1 in annotation 1 .*; write 0 for a joint without label"),
        ("category_without_joint_names", "no category has a list 'keypoints' with the joints' names; add it"),
    ],
)
def test_another_layout_is_named_with_the_fix(case_folder: Path, case: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        persons_of(case_folder / case)


def test_a_category_without_a_name_is_read(case_folder: Path) -> None:
    assert len(persons_of(case_folder / "category_without_name")) == 3


@pytest.mark.parametrize(("value", "number"), [(7, 7), (7.0, 7), ("7", 7), ("7.0", 7), (7.5, None), ("7a", None)])
def test_a_whole_number_is_known_however_it_is_written(value: object, number: int | None) -> None:
    assert whole_number(value) == number


@pytest.mark.parametrize(
    "value", [None, [], {}, "", "nan", float("nan"), 1e300, 2**63, "1" * 30, "1_2", "1_2.0", "1e3", "."]
)
def test_what_is_no_whole_number_is_none(value: object) -> None:
    assert whole_number(value) is None


@pytest.mark.parametrize(
    ("value", "state"), [("false", False), ("TRUE", True), ("1", True), (0, False), ("maybe", None)]
)
def test_a_flag_is_read_as_it_says(value: object, state: bool | None) -> None:
    assert flag(value) is state
