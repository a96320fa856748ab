"""Boxes, crops and matrices: against the authors' numbers, and against what they are for."""

from collections.abc import Mapping

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.datasets.images import warp_crop
from rlepose.pose.geometry import box_to_center_scale, clip_boxes, crop_matrix, invert_affine, transform_points

CROP_HW = (256, 192)


def smooth_picture(seed: int, size_wh: tuple[int, int] = (300, 240)) -> NDArray[np.uint8]:
    """Random and without edges, so that a rounding of the sampled position moves no pixel by a whole grey level."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (6, 6, 3)).astype(np.float32)
    return cv2.resize(coarse, size_wh, interpolation=cv2.INTER_LINEAR).round().astype(np.uint8)


def random_crops(count: int, seed: int = 0) -> dict[str, NDArray]:
    rng = np.random.default_rng(seed)
    return {
        "center": rng.uniform(50, 250, (count, 2)),
        "scale": rng.uniform(40, 400, (count, 1)) * (0.75, 1),
        "rotation_deg": rng.uniform(-180, 180, count),
        "flip": rng.uniform(size=count) < 0.5,
    }


def matrices(crops: Mapping[str, NDArray]) -> NDArray:
    return crop_matrix(crops["center"], crops["scale"], CROP_HW, crops["rotation_deg"], crops["flip"])


# --- the authors' numbers -------------------------------------------------------------------------------------------


def test_center_and_scale_are_the_authors(reference: Mapping[str, NDArray]) -> None:
    center, scale = box_to_center_scale(reference["geometry/boxes_xywh"], 192 / 256, 1.25)
    np.testing.assert_allclose(center, reference["geometry/center"], rtol=1e-5)
    np.testing.assert_allclose(scale, reference["geometry/scale"], rtol=1e-5)


def test_crop_matrix_is_the_authors(reference: Mapping[str, NDArray]) -> None:
    center, scale, rotation = (reference[f"geometry/{key}"] for key in ("center", "scale", "rotation_deg"))
    assert (rotation != 0).any() and (rotation == 0).any()
    matrix = crop_matrix(center, scale, CROP_HW, rotation)
    np.testing.assert_allclose(matrix, reference["geometry/affine"], rtol=1e-5, atol=1e-5)


def test_points_through_the_matrix_are_the_authors(reference: Mapping[str, NDArray]) -> None:
    points = transform_points(reference["geometry/affine"], reference["geometry/points"][:, None])
    np.testing.assert_allclose(points[:, 0], reference["geometry/points_in_crop"], rtol=1e-5)


# --- crop_matrix ----------------------------------------------------------------------------------------------------


def test_the_centre_goes_to_the_crops_middle() -> None:
    crops = random_crops(20) | {"flip": np.zeros(20, bool)}
    middle = transform_points(matrices(crops), crops["center"][:, None])
    np.testing.assert_allclose(middle[:, 0], np.tile([96.0, 128.0], (20, 1)))


def test_the_scales_width_fills_the_crops_width() -> None:
    matrix = crop_matrix((100, 80), (60, 80), CROP_HW)
    left, right = transform_points(matrix, [(70, 80), (130, 80)])
    np.testing.assert_allclose([left, right], [(0, 128), (192, 128)], atol=1e-9)


def test_a_positive_rotation_turns_the_picture_counter_clockwise() -> None:
    right_of_centre = transform_points(crop_matrix((100, 80), (192, 256), CROP_HW, 90), [(150, 80)])
    np.testing.assert_allclose(right_of_centre, [(96, 128 - 50)], atol=1e-9)


def test_a_flip_mirrors_points_about_the_pixel_centres_middle() -> None:
    crops = random_crops(10)
    points = np.random.default_rng(1).uniform(0, 200, (10, 4, 2))
    plain = transform_points(matrices(crops | {"flip": np.zeros(10, bool)}), points)
    mirrored = transform_points(matrices(crops | {"flip": np.ones(10, bool)}), points)
    np.testing.assert_allclose(mirrored, np.stack([191 - plain[..., 0], plain[..., 1]], axis=-1), atol=1e-9)


@pytest.mark.parametrize("rotation_deg", [0.0, 27.0, -110.0])
def test_a_flipped_crop_is_the_crop_mirrored(rotation_deg: float) -> None:
    image = smooth_picture(seed=3)
    plain, mirrored = (
        warp_crop(image, crop_matrix((140, 110), (150, 200), CROP_HW, rotation_deg, flip), CROP_HW).astype(int)
        for flip in (False, True)
    )
    assert plain.std() > 10
    assert np.abs(mirrored - plain[:, ::-1]).max() <= 1


def test_a_crop_of_the_pictures_own_size_is_the_picture() -> None:
    image = smooth_picture(seed=4, size_wh=(192, 256))
    crop = warp_crop(image, crop_matrix((96, 128), (192, 256), CROP_HW), CROP_HW)
    np.testing.assert_array_equal(crop, image)


def test_a_crop_is_black_outside_the_picture() -> None:
    crop = warp_crop(np.full((50, 50, 3), 200, np.uint8), crop_matrix((0, 0), (96, 128), CROP_HW), CROP_HW)
    assert (crop[:120, :90] == 0).all() and (crop[140:200, 110:180] == 200).all()


# --- invert_affine --------------------------------------------------------------------------------------------------


def test_the_inverse_brings_points_back() -> None:
    matrix = matrices(random_crops(20))
    points = np.random.default_rng(2).uniform(-500, 500, (20, 5, 2))
    back = transform_points(invert_affine(matrix), transform_points(matrix, points))
    np.testing.assert_allclose(back, points, atol=1e-8)


# --- clip_boxes -----------------------------------------------------------------------------------------------------


def test_clipped_boxes_lie_on_the_pictures_pixels() -> None:
    rng = np.random.default_rng(5)
    boxes = np.concatenate([rng.uniform(-200, 300, (500, 2)), rng.uniform(-20, 300, (500, 2))], axis=1)
    clipped = clip_boxes(boxes, (120, 80))
    low, high = clipped[:, :2], clipped[:, :2] + clipped[:, 2:]
    assert (low >= 0).all() and (high <= (119, 79)).all() and (clipped[:, 2:] >= 0).all()


def test_a_box_inside_the_picture_loses_one_pixel_of_its_far_edge() -> None:
    np.testing.assert_array_equal(clip_boxes((10, 20, 30, 40), (100, 100)), (10, 20, 29, 39))


@pytest.mark.parametrize("box", [(-50, 10, 40, 20), (100, 10, 40, 20), (10, 200, 5, 5), (10, 10, 0, 20)])
def test_a_box_without_an_inside_has_no_area(box: tuple[float, ...]) -> None:
    assert clip_boxes(box, (100, 100))[2:].min() == 0


def test_the_authors_clipped_boxes_are_not_clipped_again(reference: Mapping[str, NDArray]) -> None:
    boxes = reference["crops/box_xyxy_clipped"]
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2] + 1], axis=1)
    np.testing.assert_allclose(clip_boxes(xywh, (10_000, 10_000)), xywh - (0, 0, 1, 1))


# --- box_to_center_scale --------------------------------------------------------------------------------------------


def test_the_crop_region_has_the_crops_shape_and_holds_the_box() -> None:
    boxes = np.random.default_rng(6).uniform(1, 300, (100, 4))
    center, scale = box_to_center_scale(boxes, 0.75, 1.0)
    np.testing.assert_allclose(scale[:, 0] / scale[:, 1], 0.75)
    np.testing.assert_allclose(center, boxes[:, :2] + boxes[:, 2:] / 2)
    slack = scale - boxes[:, 2:]
    assert (slack >= -1e-9).all()
    np.testing.assert_allclose(slack.min(axis=1), 0, atol=1e-9)


# --- leading dimensions ---------------------------------------------------------------------------------------------


def test_all_functions_take_any_leading_dimensions() -> None:
    crops = random_crops(6, seed=7)
    boxes = np.random.default_rng(8).uniform(1, 300, (6, 4))
    points = np.random.default_rng(9).uniform(1, 300, (6, 3, 2))
    shaped = {name: value.reshape(2, 3, *value.shape[1:]) for name, value in crops.items()}
    matrix = matrices(crops)
    for grouped, flat in (
        (matrices(shaped), matrix),
        (invert_affine(matrix.reshape(2, 3, 2, 3)), invert_affine(matrix)),
        (transform_points(matrix.reshape(2, 3, 2, 3), points.reshape(2, 3, 3, 2)), transform_points(matrix, points)),
        (clip_boxes(boxes.reshape(2, 3, 4), (100, 90)), clip_boxes(boxes, (100, 90))),
        (box_to_center_scale(boxes.reshape(2, 3, 4), 0.75, 1.25)[1], box_to_center_scale(boxes, 0.75, 1.25)[1]),
    ):
        assert grouped.shape[:2] == (2, 3)
        np.testing.assert_allclose(grouped.reshape(flat.shape), flat)


def test_one_crop_needs_no_leading_dimension() -> None:
    crops = random_crops(3)
    one = crop_matrix(*(crops[name][1] for name in ("center", "scale")), CROP_HW, crops["rotation_deg"][1], True)
    assert one.shape == (2, 3)
    np.testing.assert_allclose(one, matrices(crops | {"flip": np.ones(3, bool)})[1])
