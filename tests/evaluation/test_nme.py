"""Normalised mean error: its properties, and its numbers against plain integration."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.datasets.category_groups import CategoryGroup
from rlepose.errors import InputError
from rlepose.evaluation.nme import (
    NME_METRICS,
    NME_THRESHOLDS,
    PersonErrors,
    area_under_curve,
    check_reference,
    cumulative_curve,
    failure_rate,
    person_errors,
    reference_length,
)
from rlepose.pose.skeleton import skeleton_from_names

FACE = skeleton_from_names(("right_eye_corner", "nose", "left_eye_corner"))
EYES = ("right_eye_corner", "left_eye_corner")
# Around both thresholds; some errors are just a threshold.
ERRORS = np.array([0.0, 0.01, 0.0333, 0.05, 0.05, 0.08, 0.081, 0.1, 0.12, 0.5])


def faces(count: int = 50) -> tuple[NDArray, NDArray, NDArray]:
    """keypoints, truth and visible of persons with three joints, of whom some lack a label."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 100, (count, 3, 2))
    visible = rng.integers(0, 3, (count, 3))
    visible[:, 1] = 2
    return truth + rng.normal(0, 5, truth.shape), truth, visible


def length_of(reference: str | tuple[str, str], truth: NDArray, visible: NDArray) -> NDArray:
    """With a box of 30×40 px whose segment has 400 px²."""
    boxes, areas = np.tile([5.0, 6, 30, 40], (len(truth), 1)), np.full(len(truth), 400.0)
    return reference_length(reference, FACE, truth, visible, boxes, areas)


def judged(errors: NDArray, left_out: NDArray | None = None) -> PersonErrors:
    ids = np.arange(len(errors))
    return PersonErrors("", ids, ids, errors, np.full(len(errors), "") if left_out is None else left_out)


# --- each person's error --------------------------------------------------------------------------------------------


def test_it_is_what_a_loop_over_persons_and_joints_gives() -> None:
    keypoints, truth, visible = faces()
    length = length_of(EYES, truth, visible)
    for person, error in enumerate(person_errors(keypoints, truth, visible, length)):
        if not (visible[person, 0] and visible[person, 2]):
            assert np.isnan(error)
            continue
        joints = [joint for joint in range(3) if visible[person, joint]]
        distances = [sum((keypoints[person, j] - truth[person, j]) ** 2) ** 0.5 for j in joints]
        eyes = sum((truth[person, 0] - truth[person, 2]) ** 2) ** 0.5
        assert error == pytest.approx(sum(distances) / len(joints) / eyes, rel=1e-12)


def test_a_picture_of_another_size_has_the_same_error() -> None:
    keypoints, truth, visible = faces()
    small, large = (
        person_errors(factor * keypoints, factor * truth, visible, length_of(EYES, factor * truth, visible))
        for factor in (1, 7.3)
    )
    np.testing.assert_allclose(large, small, rtol=1e-12)


def test_joints_without_label_do_not_count() -> None:
    keypoints, truth, visible = faces()
    length = np.full(len(truth), 20.0)
    elsewhere = np.where(visible[..., None] > 0, keypoints, 1e6)
    np.testing.assert_array_equal(
        person_errors(elsewhere, truth, visible, length), person_errors(keypoints, truth, visible, length)
    )


def test_a_person_without_length_or_label_has_no_error() -> None:
    keypoints, truth, visible = faces(4)
    visible[3] = 0
    errors = person_errors(keypoints, truth, visible, np.array([20.0, np.nan, 0, 20]))
    assert np.isnan(errors).tolist() == [False, True, True, True]


# --- the reference --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reference", "length"), [("box", 50), ("area", 20), (EYES, 10)])
def test_the_length_is_that_of_the_reference(reference: str | tuple[str, str], length: float) -> None:
    truth = np.array([[(4.0, 3), (0, 0), (12, 9)]])
    assert length_of(reference, truth, np.array([[1, 0, 2]])) == pytest.approx([length])


@pytest.mark.parametrize("visible", [(0, 2, 2), (2, 2, 0), (0, 2, 0)])
def test_there_is_no_length_without_both_labels(visible: tuple[int, int, int]) -> None:
    assert np.isnan(length_of(EYES, np.ones((1, 3, 2)), np.array([visible]))).all()


def test_an_unknown_joint_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"eval\.nme_reference: no joint left_eye; .* left_eye_corner, "):
        check_reference(("right_eye_corner", "left_eye"), FACE, [])


def test_one_joint_spelled_in_two_ways_is_no_distance() -> None:
    with pytest.raises(InputError, match="left_eye_corner and LeftEyeCorner are the same joint"):
        check_reference(("left_eye_corner", "LeftEyeCorner"), FACE, [])


def test_a_joint_that_a_category_lacks_is_refused() -> None:
    groups = [CategoryGroup("face", (1,), ("face",), (0, 1, 2)), CategoryGroup("profile", (2,), ("profile",), (0, 1))]
    check_reference(("nose", "right_eye_corner"), FACE, groups)
    with pytest.raises(InputError, match=r"left_eye_corner is no joint of category profile, .* data\.category"):
        check_reference(EYES, FACE, groups)


# --- the curve and its numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", NME_THRESHOLDS)
def test_the_area_is_the_integral_of_the_curve(threshold: float) -> None:
    middles = (np.arange(100_000) + 0.5) / 100_000 * threshold
    share = (ERRORS[None] <= middles[:, None]).mean(axis=1)
    assert area_under_curve(ERRORS, threshold) == pytest.approx(share.mean(), abs=1e-5)


@pytest.mark.parametrize("threshold", NME_THRESHOLDS)
def test_the_area_is_that_under_the_steps_that_are_drawn(threshold: float) -> None:
    x, share = cumulative_curve(ERRORS)
    inside = x <= threshold
    widths = np.diff(np.append(x[inside], threshold))
    assert area_under_curve(ERRORS, threshold) == pytest.approx((widths * share[inside]).sum() / threshold, rel=1e-12)


def test_failures_are_above_the_threshold() -> None:
    assert [failure_rate(ERRORS, t) for t in (0.08, 0.1)] == [0.4, 0.2]


def test_the_truth_has_no_error_and_the_whole_area() -> None:
    _, truth, visible = faces()
    metrics = judged(person_errors(truth, truth, visible, np.full(len(truth), 20.0))).metrics()
    assert metrics == {
        "NME": 0,
        "NME_AUC@0.08": 1,
        "NME_AUC@0.1": 1,
        "NME_failures@0.08": 0,
        "NME_failures@0.1": 0,
        "NME_left_out": 0,
    }


def test_the_order_of_persons_does_not_matter() -> None:
    shuffled = np.random.default_rng(0).permutation(ERRORS)
    assert judged(shuffled).metrics() == pytest.approx(judged(ERRORS).metrics(), rel=1e-12)


def test_persons_weigh_alike_however_many_labels_they_have() -> None:
    truth = np.zeros((2, 3, 2))
    keypoints = truth + np.array([[[3, 4]], [[0, 0]]])
    errors = person_errors(keypoints, truth, np.array([[2, 0, 0], [2, 2, 2]]), np.full(2, 10.0))
    assert judged(errors).metrics()["NME"] == 0.25


def test_who_is_left_out_is_counted_with_the_reason_and_changes_nothing_else() -> None:
    errors, why = np.append(ERRORS, [np.nan] * 3), np.array([""] * len(ERRORS) + ["blank", "zero", "blank"])
    with_them = judged(errors, why)
    assert with_them.metrics() == judged(ERRORS).metrics() | {"NME_left_out": 3}
    assert (with_them.reasons(), judged(ERRORS).reasons()) == ("2 × blank, 1 × zero", "none")


def test_with_everybody_left_out_there_is_no_number() -> None:
    metrics = judged(np.full(2, np.nan), np.full(2, "blank")).metrics()
    assert metrics == {**dict.fromkeys(NME_METRICS), "NME_left_out": 2}
