"""COCO's table: known results give known numbers, and files of other tools are borne with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlepose.datasets.coco_file import CocoFile
from rlepose.evaluation.coco import COCO_METRICS, coco_results, evaluate_coco, pose_scores, write_json

WriteCoco = Callable[..., Path]

MEDIUM = {"area": 50.0**2}
LARGE = {"area": 120.0**2, "keypoints": [10, 5, 2, 90, 70, 2, 10, 70, 2]}


def truth_as_results(coco: CocoFile) -> list[dict[str, Any]]:
    """The labels as if they had been predicted."""
    labelled = [a for a in coco.annotations if any((a.get("keypoints") or [])[2::3]) and not a.get("iscrowd")]
    return [{key: a[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 0.5} for a in labelled]


def table(
    path: Path,
    results: list[dict[str, Any]] | None = None,
    oks_sigmas: tuple[float, ...] | None = None,
    moved_px: float = 0,
) -> dict[str, Any]:
    """The numbers of the results, or of the labels moved to the right."""
    coco = CocoFile(path)
    results = truth_as_results(coco) if results is None else results
    for result in results:
        x, y, v = np.array(result["keypoints"], float).reshape(-1, 3).T
        result["keypoints"] = np.stack([x + moved_px, y, v], axis=1).reshape(-1).tolist()
    return evaluate_coco(coco, results, oks_sigmas or coco.skeleton().oks_sigmas)


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
    assert set(table(write_coco([MEDIUM, LARGE]), results=[]).values()) == {0.0}


def test_results_far_away_give_0(write_coco: WriteCoco) -> None:
    assert set(table(write_coco([MEDIUM, LARGE]), moved_px=5000).values()) == {0.0}


def test_a_small_error_costs_the_strict_thresholds_first(write_coco: WriteCoco) -> None:
    metrics = table(write_coco([MEDIUM, LARGE]), moved_px=5)
    assert 0 < metrics["AP"] < metrics["AP50"] == pytest.approx(1)
    assert all(0 <= value <= 1 for value in metrics.values())


def test_half_of_the_persons_found_is_half_of_the_recall(write_coco: WriteCoco) -> None:
    coco = CocoFile(write_coco([{"image_id": 1}, {"image_id": 2}], [{}, {}]))
    metrics = evaluate_coco(coco, truth_as_results(coco)[:1], coco.skeleton().oks_sigmas)
    assert metrics["AR"] == pytest.approx(0.5)


def test_a_pose_on_nobody_that_scores_best_costs_precision(write_coco: WriteCoco) -> None:
    path = write_coco([LARGE])
    right = truth_as_results(CocoFile(path))[0]
    nobody = right | {"keypoints": [900, 900, 2] * 3, "score": 0.9}
    metrics = table(path, [right, nobody])
    assert metrics["AP"] == pytest.approx(0.5) and metrics["AR"] == pytest.approx(1)


@pytest.mark.parametrize(("person", "absent"), [(LARGE, ("APM", "ARM")), (MEDIUM, ("APL", "ARL"))])
def test_a_size_without_persons_is_none(write_coco: WriteCoco, person: dict[str, Any], absent: tuple[str, ...]) -> None:
    metrics = table(write_coco([person]))
    assert tuple(name for name, value in metrics.items() if value is None) == absent


def test_a_size_without_persons_is_none_also_without_results(write_coco: WriteCoco) -> None:
    metrics = table(write_coco([LARGE]), results=[])
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


# --- results --------------------------------------------------------------------------------------------------------


def test_results_are_json_in_cocos_format(tmp_path: Path) -> None:
    keypoints, scores = np.float32([[[1.5, 2], [3, 4]]]), np.float32([[0.25, 0.5]])
    results = coco_results(keypoints, scores, np.float32([0.75]), np.array([7]), category_id=1)
    write_json(tmp_path / "new" / "results.json", results)
    assert json.loads((tmp_path / "new" / "results.json").read_text()) == [
        {"image_id": 7, "category_id": 1, "keypoints": [1.5, 2, 0.25, 3, 4, 0.5], "score": 0.75}
    ]


def test_no_poses_are_no_results() -> None:
    none = np.zeros(0)
    assert coco_results(np.zeros((0, 3, 2)), np.zeros((0, 3)), none, none.astype(int), category_id=1) == []


def test_what_json_does_not_have_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "results.json", [float("nan")])


def test_a_pose_scores_the_mean_and_the_best_of_its_joints() -> None:
    joint_scores = np.array([[0.2, 0.4, 0.6], [1, 1, 1]])
    np.testing.assert_allclose(pose_scores(joint_scores, None), [0.4 + 0.6, 2])


def test_a_detected_pose_scores_its_boxs_score_on_top() -> None:
    joint_scores, box_score = np.array([[0.2, 0.4, 0.6], [1, 1, 1]]), np.array([0.5, 0.1])
    np.testing.assert_allclose(pose_scores(joint_scores, box_score), [1.5, 2.1])


@pytest.mark.parametrize("sloppy", [{"iscrowd": None}, {"area": None}, {"num_keypoints": 0}, {"num_keypoints": ...}])
def test_what_other_tools_leave_out_or_null_does_not_matter(
    write_coco: Callable[..., Path], sloppy: dict[str, Any]
) -> None:
    coco = CocoFile(write_coco(persons=[sloppy]))
    annotation = coco.annotations[0]
    result = {"image_id": 1, "category_id": 1, "keypoints": annotation["keypoints"], "score": 1.0}
    assert evaluate_coco(coco, [result], (0.1, 0.1, 0.1))["AP"] == pytest.approx(1)
    assert result.keys() == {"image_id", "category_id", "keypoints", "score"}
