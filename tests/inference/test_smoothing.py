import dataclasses

import numpy as np
import pytest

from rlepose.errors import InputError
from rlepose.inference.poses import PersonPose
from rlepose.inference.smoothing import Smoother

BOX = np.array([0.0, 0, 100, 200])


def person(keypoints: np.ndarray, sigma: np.ndarray, box: np.ndarray = BOX) -> PersonPose:
    return PersonPose(box, keypoints, sigma, np.ones(len(keypoints)), 1.0, None)


def test_noise_around_a_resting_person_shrinks() -> None:
    rng = np.random.default_rng(0)
    truth, sigma = rng.uniform(0, 100, (17, 2)), np.full((17, 2), 5.0)
    smoother = Smoother(drift=0.005)
    before, after = [], []
    for _ in range(60):
        measured = person(truth + rng.normal(0, sigma), sigma)
        (smoothed,) = smoother([measured])
        before.append(np.square(measured.keypoints - truth).mean())
        after.append(np.square(smoothed.keypoints - truth).mean())
    # In the long run v = (v + q) s / (v + q + s) with q = 1, s = 25; the gain k is v / s, and a running mean with a
    # constant gain has k / (2 - k) of the measurements' variance.
    gain = (-1 + np.sqrt(1 + 4 * 25)) / 2 / 25
    assert np.mean(before) == pytest.approx(25, rel=0.1)
    assert np.mean(after[20:]) == pytest.approx(25 * gain / (2 - gain), rel=0.1)


def test_a_sure_joint_moves_further_than_an_unsure_one() -> None:
    smoother = Smoother()
    smoother([person(np.zeros((2, 2)), np.array([[4.0, 4], [4, 4]]))])
    (moved,) = smoother([person(np.full((2, 2), 10.0), np.array([[1.0, 1], [20, 20]]))])
    # v = 16 + (0.02 · 200)² = 32 -> gains 32 / 33 and 32 / 432
    np.testing.assert_allclose(moved.keypoints, [[320 / 33] * 2, [320 / 432] * 2])


def test_the_first_frame_and_a_jump_to_another_place_stay_as_measured() -> None:
    smoother = Smoother()
    first = person(np.zeros((3, 2)), np.ones((3, 2)))
    elsewhere = dataclasses.replace(first, bbox_xywh=BOX + np.array([500, 0, 0, 0]), keypoints=first.keypoints + 500)
    np.testing.assert_array_equal(smoother([first])[0].keypoints, first.keypoints)
    np.testing.assert_array_equal(smoother([elsewhere])[0].keypoints, elsewhere.keypoints)


def test_persons_keep_their_tracks_when_their_order_changes() -> None:
    smoother = Smoother()
    left = person(np.zeros((3, 2)), np.ones((3, 2)))
    right = person(np.full((3, 2), 300.0), np.ones((3, 2)), BOX + np.array([300, 0, 0, 0]))
    smoother([left, right])
    moved_right, moved_left = smoother([right, left])
    np.testing.assert_array_equal(moved_right.keypoints, right.keypoints)
    np.testing.assert_array_equal(moved_left.keypoints, left.keypoints)


def test_a_person_is_found_again_after_a_gap() -> None:
    smoother = Smoother()
    seen = person(np.zeros((3, 2)), np.ones((3, 2)))
    smoother([seen])
    for _ in range(3):
        assert smoother([]) == ()
    (again,) = smoother([dataclasses.replace(seen, keypoints=seen.keypoints + 10)])
    assert 9 < again.keypoints.max() < 10


@pytest.mark.parametrize(("frames", "remembered"), [(5, True), (6, False)])
def test_a_person_is_remembered_for_five_frames_and_then_begins_anew(frames: int, remembered: bool) -> None:
    smoother = Smoother()
    seen = person(np.zeros((3, 2)), np.ones((3, 2)))
    smoother([seen])
    for _ in range(frames):
        smoother([])
    (again,) = smoother([dataclasses.replace(seen, keypoints=seen.keypoints + 10)])
    assert (again.keypoints == 10).all() != remembered


def test_poses_without_sigma_are_refused() -> None:
    with pytest.raises(InputError, match="has none; add one with `rlepose recalibrate`"):
        Smoother()([dataclasses.replace(person(np.zeros((3, 2)), np.ones((3, 2))), std=None)])
