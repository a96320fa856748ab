"""COCO's table: known results give known numbers, by both evaluators, and files of other tools are borne with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.evaluation.coco_table import COCO_METRICS, EVALUATORS, evaluate_coco
from rlepose.evaluation.results import CocoResults, coco_results
from rlepose.evaluation.truth import truth_of

WriteCoco = Callable[..., Path]

MEDIUM = {"area": 50.0**2}
LARGE = {"area": 120.0**2, "keypoints": [10, 5, 2, 90, 70, 2, 10, 70, 2]}


def labels_as_results(path: Path, moved_px: float = 0) -> CocoResults:
    """The labels, moved to the right, as if they had been predicted."""
    truth = truth_of(CocoFile(path))
    persons = np.flatnonzero(truth.labelled.any(axis=1) & ~truth.crowd)
    keypoints = truth.keypoints[persons] + [moved_px, 0]
    image_ids = truth.image_ids[truth.image_index[persons]]
    return coco_results(keypoints, np.ones(keypoints.shape[:2]), np.full(len(persons), 0.5), image_ids, category_id=1)


def table(
    path: Path,
    results: CocoResults | None = None,
    oks_sigmas: tuple[float, ...] | None = None,
    moved_px: float = 0,
) -> dict[str, Any]:
    """The numbers of the results, or of the labels moved to the right: of every evaluator the same."""
    coco = CocoFile(path)
    results = labels_as_results(path, moved_px) if results is None else results
    constants = np.array(oks_sigmas or coco.skeleton().oks_sigmas)
    first, *others = (evaluate_coco(truth_of(coco), results, constants, backend) for backend in EVALUATORS)
    for other in others:
        assert other == pytest.approx(first, abs=1e-12)
    return first


def nothing(joints: int = 3) -> CocoResults:
    none = np.zeros(0)
    return coco_results(np.zeros((0, joints, 2)), np.zeros((0, joints)), none, none.astype(int), category_id=1)


# --- numbers --------------------------------------------------------------------------------------------------------


def test_the_ground_truth_gets_full_marks(write_coco: WriteCoco) -> None:
    metrics = table(write_coco([MEDIUM, LARGE]))
    assert tuple(metrics) == COCO_METRICS
    assert list(metrics.values()) == pytest.approx([1.0] * 10)


def test_the_drawn_data_sets_ground_truth_gets_full_marks(synthetic: Path) -> None:
    metrics = table(synthetic / "annotations" / "person_keypoints_val.json")
    measured = [value for value in metrics.values() if value is not None]
    assert len(measured) >= 6 and measured == pytest.approx([1.0] * len(measured))


def test_real_ground_truth_with_crowds_gets_full_marks(real_data: Path) -> None:
    metrics = table(real_data / "coco_mini" / "annotations" / "person_keypoints_val2017.json")
    assert list(metrics.values()) == pytest.approx([1.0] * 10)


def test_no_results_give_0(write_coco: WriteCoco) -> None:
    assert set(table(write_coco([MEDIUM, LARGE]), results=nothing()).values()) == {0.0}


def test_results_far_away_give_0(write_coco: WriteCoco) -> None:
    assert set(table(write_coco([MEDIUM, LARGE]), moved_px=5000).values()) == {0.0}


def test_a_small_error_costs_the_strict_thresholds_first(write_coco: WriteCoco) -> None:
    metrics = table(write_coco([MEDIUM, LARGE]), moved_px=5)
    assert 0 < metrics["AP"] < metrics["AP50"] == pytest.approx(1)
    assert all(0 <= value <= 1 for value in metrics.values())


def test_half_of_the_persons_found_is_half_of_the_recall(write_coco: WriteCoco) -> None:
    path = write_coco([{"image_id": 1}, {"image_id": 2}], [{}, {}])
    assert table(path, labels_as_results(path).select([0]))["AR"] == pytest.approx(0.5)


def test_a_pose_on_nobody_that_scores_best_costs_precision(write_coco: WriteCoco) -> None:
    path = write_coco([LARGE])
    keypoints = np.array([[[10, 5], [90, 70], [10, 70]], [[900, 900]] * 3])
    results = coco_results(keypoints, np.ones((2, 3)), np.array([0.5, 0.9]), np.array([1, 1]), category_id=1)
    metrics = table(path, results)
    assert metrics["AP"] == pytest.approx(0.5) and metrics["AR"] == pytest.approx(1)


@pytest.mark.parametrize(("person", "absent"), [(LARGE, ("APM", "ARM")), (MEDIUM, ("APL", "ARL"))])
def test_a_size_without_persons_is_none(write_coco: WriteCoco, person: dict[str, Any], absent: tuple[str, ...]) -> None:
    metrics = table(write_coco([person]))
    assert tuple(name for name, value in metrics.items() if value is None) == absent


def test_a_size_without_persons_is_none_also_without_results(write_coco: WriteCoco) -> None:
    metrics = table(write_coco([LARGE]), results=nothing())
    assert metrics["APM"] is None and metrics["AP"] == 0


def test_larger_oks_constants_forgive_more(write_coco: WriteCoco) -> None:
    path = write_coco([MEDIUM, LARGE])
    strict, lenient = (table(path, oks_sigmas=(sigma,) * 3, moved_px=8)["AP"] for sigma in (0.02, 0.5))
    assert strict < lenient == pytest.approx(1)


@pytest.mark.parametrize("count", [1, 5, 30])
def test_any_number_of_joints_is_measured_with_its_own_constants(write_coco: WriteCoco, count: int) -> None:
    person = {"keypoints": [value for joint in range(count) for value in (10 + joint, 20 + joint, 2)], **MEDIUM}
    path = write_coco([person], category={"keypoints": [f"part{joint}" for joint in range(count)], "skeleton": []})
    assert table(path, oks_sigmas=(0.05,) * count)["AP"] == pytest.approx(1)


# --- files of other tools -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["area", "iscrowd"])
def test_an_entry_that_other_tools_leave_out_is_made_up(write_coco: WriteCoco, missing: str) -> None:
    metrics = table(write_coco([LARGE | {missing: ..., "bbox": [0, 0, 120, 120]}]))
    assert metrics["APL"] == pytest.approx(1)


def test_a_crowd_without_keypoints_costs_nothing(write_coco: WriteCoco) -> None:
    metrics = table(write_coco([LARGE, {"iscrowd": 1, "keypoints": [0, 0, 0] * 3}]))
    assert metrics["AP"] == pytest.approx(1) and metrics["AR"] == pytest.approx(1)


@pytest.mark.parametrize("missing", ["keypoints", "bbox"])
@pytest.mark.parametrize("empty", [..., None], ids=["missing", "null"])
def test_a_person_without_labels_may_lack_keypoints_or_box(write_coco: WriteCoco, missing: str, empty: Any) -> None:
    metrics = table(write_coco([LARGE, {"keypoints": [0, 0, 0] * 3, missing: empty}]))
    assert metrics["AP"] == pytest.approx(1) and metrics["AR"] == pytest.approx(1)


def test_the_evaluation_prints_nothing(write_coco: WriteCoco, capsys: pytest.CaptureFixture[str]) -> None:
    table(write_coco([LARGE]))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("sloppy", [{"iscrowd": None}, {"area": None}, {"num_keypoints": 0}, {"num_keypoints": ...}])
def test_what_other_tools_leave_out_or_null_does_not_matter(write_coco: WriteCoco, sloppy: dict[str, Any]) -> None:
    assert table(write_coco([sloppy]))["AP"] == pytest.approx(1)


def test_a_person_with_the_id_0_counts(write_coco: WriteCoco) -> None:
    assert table(write_coco([LARGE | {"id": 0}]))["AP"] == pytest.approx(1)


def test_persons_may_stand_in_any_order_of_pictures(write_coco: WriteCoco) -> None:
    path = write_coco([LARGE | {"image_id": 2}, MEDIUM | {"image_id": 1}, LARGE | {"image_id": 2}], [{}, {}])
    truth = truth_of(CocoFile(path))
    assert truth.image_index.tolist() == [0, 1, 1] and truth.area.tolist() == [2500, 14400, 14400]
    assert table(path)["AR"] == pytest.approx(1)


def test_persons_on_pictures_that_the_file_does_not_list_do_not_count(write_coco: WriteCoco) -> None:
    path = write_coco([LARGE, LARGE | {"image_id": 5}])
    assert table(path)["AR"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("crowd", "message"),
    [
        ({"keypoints": [1, 2, 2]}, r"annotation 2: keypoints: expected 9 finite numbers, got \[1, 2, 2\]"),
        ({"keypoints": [1, float("nan"), 2] * 3}, "annotation 2: keypoints: expected 9 finite numbers"),
        ({"area": float("inf")}, "annotation 2: area: expected a finite number, got inf"),
        ({"area": "large"}, "annotation 2: area: expected a finite number, got 'large'"),
        ({"bbox": [0, 0, 10**400, 1]}, "annotation 2: bbox: expected 4 finite numbers"),
        ({"keypoints": 1}, "keypoints: expected 9 finite numbers, got 1"),
    ],
)
def test_a_crowd_of_what_are_no_numbers_is_refused(write_coco: WriteCoco, crowd: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        truth_of(CocoFile(write_coco([LARGE, {"iscrowd": 1} | crowd])))


def test_poses_in_unknown_pictures_are_refused(write_coco: WriteCoco) -> None:
    path = write_coco([LARGE])
    results = labels_as_results(path)
    results.image_ids[:] = 9
    with pytest.raises(InputError, match="no picture 9 "):
        table(path, results)
