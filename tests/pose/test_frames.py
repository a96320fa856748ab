"""Frames: from the picture to the unit square and back."""

import numpy as np
import pytest

from rlepose.pose.frames import Frames


def crops(rotation_deg: float = 0.0, flip: bool = False) -> Frames:
    center, scale = np.array([[30.0, 40], [500, 20]]), np.array([[96.0, 128], [30, 40]])
    return Frames.of_crops(center, scale, (256, 192), rotation_deg, flip)


def test_the_corners_of_a_box_are_the_corners_of_its_frame() -> None:
    frames = Frames.of_boxes([[10.0, 20, 30, 60], [0, 0, 5, 7]])
    corners = [[[10.0, 20], [30, 60]], [[0, 0], [5, 7]]]
    np.testing.assert_allclose(frames.from_picture(corners), np.tile([[-0.5, -0.5], [0.5, 0.5]], (2, 1, 1)), atol=1e-12)


def test_a_crops_middle_is_the_middle_of_its_frame() -> None:
    np.testing.assert_allclose(crops().from_picture([[[30.0, 40]], [[500, 20]]]), np.zeros((2, 1, 2)), atol=1e-12)


@pytest.mark.parametrize("rotation_deg", [0.0, 30.0, -120.0])
@pytest.mark.parametrize("flip", [False, True])
def test_points_come_back_from_a_frame(rotation_deg: float, flip: bool) -> None:
    frames, points = crops(rotation_deg, flip), np.random.default_rng(0).uniform(0, 500, (2, 17, 2))
    np.testing.assert_allclose(frames.to_picture(frames.from_picture(points)), points, atol=1e-9)


def test_a_length_of_one_is_the_frames_width_and_height_in_the_picture() -> None:
    np.testing.assert_allclose(crops().lengths_to_picture(np.ones((2, 1, 2)))[:, 0], [[96.0, 128], [30, 40]])


def test_mirroring_a_frame_leaves_its_lengths() -> None:
    lengths = np.full((2, 1, 2), 0.1)
    np.testing.assert_allclose(crops(flip=True).lengths_to_picture(lengths), crops().lengths_to_picture(lengths))


def test_rows_choose_frames() -> None:
    second = crops()[[1]]
    assert len(second) == 1
    np.testing.assert_allclose(second.from_picture([[[500.0, 20]]]), np.zeros((1, 1, 2)), atol=1e-12)
