"""Pictures of poses: what is drawn, where, and that odd numbers do not stop a run."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.datasets.images import read_image
from rlepose.drawing.overlays import draw_label, draw_pose, sheet, truth_and_prediction, write_picture
from rlepose.errors import InputError
from rlepose.pose.skeleton import COCO, Skeleton, skeleton_from_names

POINT = skeleton_from_names(("nose",))
PAIR = skeleton_from_names(("left_hip", "right_hip"), ((0, 1),))
BLACK = np.zeros((200, 240, 3), np.uint8)


def extent(picture: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """First and last column, first and last row that are not black."""
    drawn = picture.any(axis=2)
    columns, rows = np.flatnonzero(drawn.any(axis=0)), np.flatnonzero(drawn.any(axis=1))
    return columns[0], columns[-1], rows[0], rows[-1]


def pose(seed: int = 0, skeleton: Skeleton = COCO) -> NDArray[np.floating]:
    return np.random.default_rng(seed).uniform(20, 180, (len(skeleton), 2))


# --- draw_pose ------------------------------------------------------------------------------------------------------


def test_drawing_leaves_its_input_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 240, 3), np.uint8)
    keypoints, sigma = pose(), np.full((17, 2), 5.0)
    before = image.copy(), keypoints.copy(), sigma.copy()
    drawn = draw_pose(image, keypoints, COCO, sigma)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8 and (drawn != image).any()
    for now, then in zip((image, keypoints, sigma), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_joint_is_drawn_where_it_is() -> None:
    left, right, top, bottom = extent(draw_pose(BLACK, np.array([[60.2, 89.6]]), POINT))
    assert (left + right) / 2 == 60 and (top + bottom) / 2 == 90 and right - left < 10


@pytest.mark.parametrize("sigma", [(20.0, 10.0), (12.0, 45.0), (60.0, 60.0)])
def test_an_ellipse_has_the_half_axes_sigma(sigma: tuple[float, float]) -> None:
    left, right, top, bottom = extent(draw_pose(BLACK, np.array([[120.0, 100.0]]), POINT, np.array([sigma])))
    assert (right - left) / 2 == pytest.approx(sigma[0], abs=2)
    assert (bottom - top) / 2 == pytest.approx(sigma[1], abs=2)


def test_lines_are_thinner_on_a_small_person() -> None:
    keypoints = np.array([[40.0, 100], [200, 100]])
    heights = []
    for size in (1, 0.2):
        _, _, top, bottom = extent(draw_pose(BLACK, keypoints * size, PAIR))
        heights.append(bottom - top)
    assert heights[1] < heights[0]


def test_invisible_joints_and_their_bones_are_not_drawn() -> None:
    keypoints = np.array([[40.0, 100], [200, 100]])
    _, right, _, _ = extent(draw_pose(BLACK, keypoints, PAIR, visible=np.array([1, 0])))
    assert right < 50
    assert not draw_pose(BLACK, keypoints, PAIR, visible=np.zeros(2)).any()


def test_a_bone_joins_its_joints() -> None:
    assert draw_pose(BLACK, np.array([[40.0, 100], [200, 100]]), PAIR)[100, 40:201].any(axis=1).all()


def test_left_and_right_have_different_colours() -> None:
    drawn = draw_pose(BLACK, np.array([[40.0, 100], [200, 100]]), PAIR)
    assert (drawn[100, 40] != drawn[100, 200]).any()


def test_a_joint_beyond_10_000_pixels_is_drawn_where_it_is() -> None:
    drawn = draw_pose(np.zeros((20, 15_000, 3), np.uint8), np.array([[14_000.0, 10]]), POINT)
    assert drawn[10, 14_000].any() and not drawn[:, :13_000].any()


@pytest.mark.parametrize(("side", "factor"), [(500, 1), (1000, 1), (4000, 4)])
def test_labels_grow_with_large_pictures(side: int, factor: int) -> None:
    white = np.full((side, side, 3), 255, np.uint8)
    draw_label(white, "0.87", (0, side // 2), above=True)
    _, _, top, bottom = extent(255 - white)
    assert bottom == side // 2
    assert bottom - top == pytest.approx(22 * factor, rel=0.15)


@pytest.mark.parametrize("far", [1e6, -1e12, np.inf])
def test_joints_far_away_do_not_stop_the_drawing(far: float) -> None:
    keypoints = pose()
    keypoints[::2] = far
    assert draw_pose(BLACK, keypoints, COCO, np.full((17, 2), 3.0)).any()


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [None, np.full((17, 2), 4.0)], ids=["without sigma", "with sigma"])
def test_truth_and_prediction_stand_side_by_side(sigma: NDArray | None) -> None:
    box = np.array([20.0, 20, 160, 160])
    page = truth_and_prediction(BLACK, box, COCO, pose(), np.full(17, 2), pose(1), sigma, "title", (120, 90))
    assert page.shape == (120, 180, 3) and page.dtype == np.uint8
    assert page[20:, :90].any() and page[20:, 90:].any()


def test_unlabelled_joints_are_drawn_in_the_prediction_only() -> None:
    box, nowhere = np.array([20.0, 20, 160, 160]), np.zeros(17)
    page = truth_and_prediction(BLACK, box, COCO, pose(), nowhere, pose(1), None, "", (120, 90))
    assert not page[20:, :90].any() and page[20:, 90:].any()


@pytest.mark.parametrize(("count", "shape"), [(1, (10, 40, 3)), (2, (10, 40, 3)), (3, (20, 40, 3)), (6, (30, 40, 3))])
def test_a_sheet_has_room_for_all_tiles(count: int, shape: tuple[int, ...]) -> None:
    assert sheet([np.zeros((10, 20, 3), np.uint8)] * count, columns=2).shape == shape


def test_a_sheet_is_filled_row_by_row_and_ends_black() -> None:
    page = sheet([np.full((2, 2, 3), value, np.uint8) for value in (1, 2, 3)], columns=2)
    assert page[::2, ::2, 0].tolist() == [[1, 2], [3, 0]]


def test_a_written_picture_keeps_its_colours(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    write_picture(tmp_path / "page.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "page.png"), image)


def test_a_picture_may_have_a_name_that_is_no_text(tmp_path: Path) -> None:
    """OpenCV's imwrite crashes at such a name."""
    path = tmp_path / os.fsdecode(b"page\xff.png")
    write_picture(path, BLACK)
    np.testing.assert_array_equal(read_image(path), BLACK)


@pytest.mark.parametrize("name", ["nowhere/page.png", "page.nothing", "page"])
def test_a_picture_that_cannot_be_written_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"page.*cannot write the picture"):
        write_picture(tmp_path / name, BLACK)
