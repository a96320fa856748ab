"""COCO-WholeBody's numbers are those of its authors' evaluators, which the reference folder holds."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.evaluation.coco_table import EVALUATORS, evaluate_coco
from rlepose.evaluation.results import coco_results
from rlepose.evaluation.slices import area_joints, slices
from rlepose.evaluation.truth import truth_of
from rlepose.pose.geometry import Floats
from rlepose.pose.joint_sets import WHOLEBODY
from rlepose.preparation.coco_layout import CONVERSIONS, convert_file
from rlepose.runtime.distributed import Ranks
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation
from tests.predicting import poses_of

Table = Mapping[str, float]
LISTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
PARTS = {"body": "body", "foot": "foot", "face": "face", "left hand": "lefthand", "right hand": "righthand"}


class Case(NamedTuple):
    """annotations: the converted file. joints (N, 133, 3) px and scores, scores (N,), image_ids (N,): the poses.

    expected: the ten numbers of each part, by the authors' name of it."""

    annotations: Path
    joints: Floats
    scores: Floats
    image_ids: np.ndarray
    expected: Mapping[str, Table]


@pytest.fixture(scope="module")
def case(reference_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = reference_folder / "wholebody"
    annotations = tmp_path_factory.mktemp("wholebody") / "annotations.json"
    convert_file(folder / "truth.json", annotations, CONVERSIONS["coco_wholebody"])
    poses = json.loads((folder / "results.json").read_text())
    return Case(
        annotations=annotations,
        joints=np.concatenate([[pose[part] for pose in poses] for part in LISTS], axis=1).reshape(len(poses), -1, 3),
        scores=np.array([pose["score"] for pose in poses]),
        image_ids=np.array([pose["image_id"] for pose in poses]),
        expected=json.loads((folder / "expected.json").read_text()),
    )


def exactly(table: Table) -> Any:
    return pytest.approx(table, rel=0, abs=1e-12)


@pytest.mark.parametrize("backend", EVALUATORS)
def test_all_numbers_of_all_parts_are_the_authors(case: Case, backend: str) -> None:
    truth, oks_sigmas = truth_of(CocoFile(case.annotations)), np.array(WHOLEBODY.oks_sigmas)
    results = coco_results(
        case.joints[..., :2], case.joints[..., 2], case.scores, case.image_ids, 1, area_joints(WHOLEBODY.names)
    )
    assert evaluate_coco(truth, results, oks_sigmas, backend) == exactly(case.expected["wholebody"])
    parts = list(slices(WHOLEBODY.names, truth, results, oks_sigmas, None))
    assert [part.name for part in parts] == list(PARTS)
    for part in parts:
        table = evaluate_coco(part.truth, part.results, part.oks_sigmas, backend)
        assert table == exactly(case.expected[PARTS[part.name]])


@pytest.fixture
def detected(case: Case, tmp_path: Path, tiny_config: Callable[..., Config]) -> Callable[[str], Validation]:
    """detected(backend) -> the validation of poses in a detector's boxes, which have the scores of the case's poses."""
    (tmp_path / "val").mkdir()
    for image in json.loads(case.annotations.read_text())["images"]:
        (tmp_path / "val" / image["file_name"]).touch()  # has to be there, is not read
    boxes = tmp_path / "boxes.json"
    entries = zip(case.image_ids.tolist(), case.scores.tolist(), strict=True)
    boxes.write_text(
        json.dumps([{"image_id": i, "category_id": 1, "bbox": [0, 0, 9, 9], "score": score} for i, score in entries])
    )

    def make(backend: str) -> Validation:
        config = tiny_config(
            f"data={{root: {tmp_path}, val_images: val, val_annotations: {case.annotations}}}",
            f"eval={{backend: {backend}, nms_threshold: 1.1}}",
        )
        return build_validation(config, str(boxes), Ranks(0, 1, torch.device("cpu")))

    return make


@pytest.mark.parametrize("backend", EVALUATORS)
def test_validation_gives_the_authors_numbers(case: Case, detected: Callable[[str], Validation], backend: str) -> None:
    # Joint scores of 0 leave the box's score as the pose's.
    scores = np.zeros(case.joints.shape[:2])
    validation = detected(backend)
    metrics, _ = validation.evaluator.evaluate(poses_of(validation.table, case.joints[..., :2], scores, labelled=False))
    rows = {"det": "wholebody"} | {f"det {part}": name for part, name in PARTS.items()}
    assert metrics == exactly(
        {f"{row}/{number}": value for row, name in rows.items() for number, value in case.expected[name].items()}
    )
