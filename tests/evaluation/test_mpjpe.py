"""Errors of 3-D poses, and the alignment before them."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.evaluation.mpjpe import (
    METRICS,
    error_table,
    errors_by_action,
    joint_errors,
    pose_errors,
    procrustes_align,
)

RNG = np.random.default_rng(0)
ALL = range(17)


def skeletons(count: int) -> NDArray[np.float64]:
    return np.random.default_rng(count).normal(size=(count, 17, 3)) * 300


def rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    matrix = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    matrix[:, 0] *= np.linalg.det(matrix)
    return matrix


def aligned_by_one(prediction: NDArray, truth: NDArray) -> NDArray:
    """The simple version: one skeleton, trying both signs of the last direction."""
    moving, fixed = prediction - prediction.mean(0), truth - truth.mean(0)
    u, _, vt = np.linalg.svd(moving.T @ fixed)
    turns = [vt.T @ np.diag([1, 1, sign]) @ u.T for sign in (1, -1)]
    turn = next(matrix for matrix in turns if np.linalg.det(matrix) > 0)
    turned = moving @ turn.T
    return turned * (turned * fixed).sum() / (moving**2).sum() + truth.mean(0)


# --- procrustes_align -----------------------------------------------------------------------------------------------


def test_alignment_is_the_authors(reference3d: Mapping[str, NDArray]) -> None:
    aligned = procrustes_align(reference3d["pa/prediction"], reference3d["pa/target"])
    np.testing.assert_allclose(aligned, reference3d["pa/aligned"], atol=1e-9)


def test_many_at_once_are_aligned_as_one_by_one() -> None:
    prediction, truth = skeletons(20), skeletons(21)[:20]
    expected = [aligned_by_one(p, t) for p, t in zip(prediction, truth, strict=True)]
    np.testing.assert_allclose(procrustes_align(prediction, truth), expected, atol=1e-9)


def test_alignment_undoes_rotation_shift_and_scale() -> None:
    truth = skeletons(4)
    moved = np.stack([2.5 * one @ rotation(RNG).T + RNG.normal(size=3) * 500 for one in truth])
    np.testing.assert_allclose(procrustes_align(moved, truth), truth, atol=1e-8)


def test_a_mirrored_skeleton_is_not_mirrored_back() -> None:
    truth = skeletons(4)
    aligned = procrustes_align(truth * (-1, 1, 1), truth)
    assert (joint_errors(aligned, truth).mean(axis=1) > 50).all()


def test_a_flat_skeleton_is_aligned_by_a_rotation_in_space() -> None:
    truth = skeletons(3) * (1, 1, 0)
    moved = np.stack([one @ rotation(RNG).T for one in truth])
    np.testing.assert_allclose(procrustes_align(moved, truth), truth, atol=1e-8)


def test_a_prediction_in_one_point_becomes_the_truths_centre() -> None:
    truth = skeletons(2)
    centre = np.broadcast_to(truth.mean(axis=1, keepdims=True), truth.shape)
    np.testing.assert_allclose(procrustes_align(np.full((2, 17, 3), 7.0), truth), centre, atol=1e-9)


def test_any_prediction_of_a_truth_in_one_point_becomes_that_point() -> None:
    np.testing.assert_allclose(procrustes_align(skeletons(2), np.full((2, 17, 3), 7.0)), 7.0, atol=1e-9)


# --- pose_errors ----------------------------------------------------------------------------------------------------


def test_the_errors_are_those_of_the_authors_evaluation(reference3d: Mapping[str, NDArray]) -> None:
    errors = pose_errors(reference3d["pa/prediction"], reference3d["pa/target"], 0, ALL)
    assert errors["MPJPE"] == pytest.approx(float(reference3d["pa/mpjpe"]), abs=1e-5)
    assert errors["PA_MPJPE"] == pytest.approx(float(reference3d["pa/pa_mpjpe"]), abs=1e-5)


def test_mpjpe_is_relative_to_the_root() -> None:
    truth = skeletons(3)
    moved = truth + 1000
    moved[:, 5] += (30, 40, 0)
    assert pose_errors(moved, truth, 0, ALL)["MPJPE"] == pytest.approx(50 / 17)


def test_joints_left_out_do_not_count() -> None:
    truth = skeletons(3)
    prediction = truth.copy()
    prediction[:, 16] += 900
    assert pose_errors(prediction, truth, 0, range(16)) == {
        "MPJPE": 0,
        "PA_MPJPE": pytest.approx(0, abs=1e-9),
        "PCK3D": 1,
        "AUC": 1,
    }


def test_the_root_may_be_left_out_itself() -> None:
    truth = skeletons(2)
    prediction = truth.copy()
    prediction[:, 1:] += (3, 0, 4)
    assert pose_errors(prediction, truth, 0, range(1, 17))["MPJPE"] == pytest.approx(5)


def test_pck_counts_joints_within_150_mm_and_auc_is_its_mean_over_the_limits() -> None:
    truth = np.zeros((1, 4, 3))
    prediction = truth.copy()
    prediction[0, :, 0] = [0, 75, 150, 151]
    errors = pose_errors(prediction, truth, 0, range(4))
    assert errors["PCK3D"] == 0.75
    # 31 limits: the first joint is within all, the second from the 16th on, the third within the last.
    assert errors["AUC"] == pytest.approx((31 + 16 + 1) / (31 * 4))


# --- errors_by_action -----------------------------------------------------------------------------------------------


def test_each_action_is_the_mean_of_its_skeletons_and_all_of_all() -> None:
    truth = skeletons(5)
    prediction = truth.copy()
    prediction[:, 1, 2] += 17 * np.arange(5)
    report = errors_by_action(prediction, truth, ["walk", "sit", "walk", "sit", "walk"], 0, ALL)
    assert list(report) == ["sit", "walk", "all"]
    assert [row["MPJPE"] for row in report.values()] == pytest.approx([2, 2, 2])
    only = errors_by_action(prediction, truth, ["a", "b", "c", "d", "e"], 0, ALL)
    assert [row["MPJPE"] for row in only.values()] == pytest.approx([0, 1, 2, 3, 4, 2])


def test_no_skeletons_give_no_numbers_and_a_table_all_the_same() -> None:
    report = errors_by_action(np.zeros((0, 17, 3)), np.zeros((0, 17, 3)), np.zeros(0, str), 0, ALL)
    assert report == {"all": dict.fromkeys(METRICS)}
    assert error_table(report).splitlines()[1].split() == ["all", *"----"]


def test_the_table_has_a_column_a_metric() -> None:
    head, row = error_table({"all": dict.fromkeys(METRICS, 1.25)}).splitlines()
    assert head.split() == list(METRICS)
    assert row.split() == ["all", "1.2", "1.2", "1.250", "1.250"]
