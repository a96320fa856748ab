"""Percentage of correct keypoints, on cases that can be counted by hand."""

import typing

import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.errors import InputError
from rlepose.evaluation.pck import PCK_THRESHOLDS, pck, reference_joints, reference_length
from rlepose.pose.skeleton import skeleton_from_names
from rlepose.validation.options import EvalConfig

TORSO = skeleton_from_names(("left_shoulder", "nose", "right_hip"))
BOX = np.array([[0.0, 0, 30, 40]])


def moved(*errors_px: tuple[float, ...]) -> tuple[NDArray, NDArray, NDArray]:
    """keypoints, truth and visible of persons whose joints are this many pixels off."""
    truth = np.random.default_rng(0).uniform(0, 100, (len(errors_px), len(errors_px[0]), 2))
    angle = np.random.default_rng(1).uniform(0, 7, truth.shape[:2])
    errors = np.array(errors_px)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return truth + errors, truth, np.full(truth.shape[:2], 2)


# --- pck ------------------------------------------------------------------------------------------------------------


def test_the_truth_is_wholly_correct() -> None:
    assert pck(*moved((0, 0, 0), (0, 0, 0)), np.array([10.0, 20]), 0.1) == 1.0


def test_each_person_is_measured_by_its_own_length() -> None:
    assert pck(*moved((4, 6, 30), (4, 6, 30)), np.array([50.0, 100]), 0.1) == 3 / 6


def test_an_error_of_just_the_threshold_is_correct() -> None:
    truth = np.zeros((1, 2, 2))
    assert pck(truth + np.array([3, 4]), truth, np.ones((1, 2)), np.array([10.0]), 0.5) == 1.0


def test_joints_without_label_do_not_count() -> None:
    keypoints, truth, visible = moved((0, 99, 0), (99, 99, 0))
    visible[:, 1] = 0
    visible[1, 0] = 0
    assert pck(keypoints, truth, visible, np.array([10.0, 10]), 0.1) == 1.0


def test_a_person_without_length_is_left_out() -> None:
    assert pck(*moved((0, 99), (99, 99)), np.array([10.0, np.nan]), 0.1) == 0.5


def test_with_nothing_labelled_there_is_no_number() -> None:
    keypoints, truth, visible = moved((0, 0))
    assert pck(keypoints, truth, visible * 0, np.array([10.0]), 0.1) is None


def test_with_no_persons_there_is_no_number() -> None:
    none = np.zeros((0, 2, 2))
    assert pck(none, none, np.zeros((0, 2)), np.zeros(0), 0.1) is None


# --- reference_length -----------------------------------------------------------------------------------------------


def torso(kind: str, visible: tuple[int, int, int] = (2, 2, 2)) -> float:
    truth = np.array([[(10.0, 10), (0, 0), (40, 50)]])
    (length,) = reference_length(kind, truth, np.array([visible]), BOX, TORSO)
    return float(length)


def test_the_torso_reaches_from_the_left_shoulder_to_the_right_hip() -> None:
    assert torso("torso") == 50


def test_the_box_is_measured_by_its_longer_side() -> None:
    boxes = np.array([[5.0, 5, 30, 40], [0, 0, 70, 20]])
    length = reference_length("box", np.zeros((2, 3, 2)), np.zeros((2, 3)), boxes, TORSO)
    assert length.tolist() == [40, 70]


@pytest.mark.parametrize("visible", [(0, 2, 2), (2, 2, 0), (0, 0, 0)])
def test_a_torso_without_both_labels_has_no_length(visible: tuple[int, int, int]) -> None:
    assert np.isnan(torso("torso", visible))


def test_a_torso_does_not_need_the_other_joints() -> None:
    assert torso("torso", (1, 0, 1)) == 50


def test_a_torso_of_no_length_has_none() -> None:
    same = np.full((1, 3, 2), 7.0)
    assert np.isnan(reference_length("torso", same, np.full((1, 3), 2), BOX, TORSO)).all()


def test_torso_is_refused_for_joints_that_have_none() -> None:
    hand = skeleton_from_names(("palm", "thumb"))
    with pytest.raises(
        InputError, match=r"eval\.pck_reference: torso needs .* palm, thumb; set eval\.pck_reference=box"
    ):
        reference_length("torso", np.zeros((1, 2, 2)), np.ones((1, 2)), BOX, hand)


@pytest.mark.parametrize("names", [("head", "neck"), ("head_top", "upper_neck"), ("HeadTop", "Neck")])
def test_the_head_reaches_from_the_neck_to_its_top(names: tuple[str, str]) -> None:
    truth = np.array([[(10.0, 10), (40, 50)], [(0, 0), (3, 4)]])
    visible = np.array([[2, 1], [0, 2]])
    length = reference_length("head", truth, visible, np.tile(BOX, (2, 1)), skeleton_from_names(names))
    assert length[0] == 50 and np.isnan(length[1])


def test_the_head_is_refused_where_there_is_none() -> None:
    with pytest.raises(InputError, match=r"eval\.pck_reference: head needs joints neck and head"):
        reference_joints("head", TORSO)


def test_every_reference_of_the_config_has_thresholds() -> None:
    assert set(PCK_THRESHOLDS) == set(typing.get_args(typing.get_type_hints(EvalConfig)["pck_reference"]))
