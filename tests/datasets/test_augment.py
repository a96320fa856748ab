"""Random crops: reproducible, within their ranges, and of the half that they mean."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.datasets.augment import (
    CropChoice,
    half_body,
    random_color,
    random_crop,
    random_occluder,
    reachable_region,
    sample_generator,
)
from rlepose.datasets.options import AugmentConfig
from rlepose.pose.geometry import crop_matrix, invert_affine, transform_points
from rlepose.pose.skeleton import COCO, Skeleton, skeleton_from_names

CENTER, SCALE = np.array([100.0, 120.0]), np.array([150.0, 200.0])
# A person standing upright, seen from the front; COCO's order.
HEAD = [(100, 30), (105, 25), (95, 25), (110, 28), (90, 28)]
ARMS = [(120, 60), (80, 60), (128, 90), (72, 90), (130, 115), (70, 115)]
LEGS = [(112, 120), (88, 120), (113, 165), (87, 165), (114, 210), (86, 210)]
STANDING = np.array([*HEAD, *ARMS, *LEGS], float)
ALL_VISIBLE = np.full(17, 2)
OFF = AugmentConfig(flip_prob=0, scale=0, rotation_prob=0, half_body_prob=0)
HALF_BODY = AugmentConfig(flip_prob=0, scale=0, rotation_prob=0, half_body_prob=1)


def draw(
    config: AugmentConfig, index: int = 0, visible: NDArray = ALL_VISIBLE, skeleton: Skeleton = COCO, epoch: int = 0
) -> CropChoice:
    points = STANDING[: len(visible)]
    return random_crop(sample_generator(0, epoch, index), config, skeleton, CENTER, SCALE, points, visible)


def draws(config: AugmentConfig, count: int = 200, visible: NDArray = ALL_VISIBLE) -> list[CropChoice]:
    return [draw(config, index, visible) for index in range(count)]


def numbers(choice: CropChoice) -> tuple[float, ...]:
    return (*choice.center, *choice.scale, choice.rotation_deg, choice.flip)


def shown(choice: CropChoice) -> NDArray[np.bool_]:
    """Which joints lie in the region."""
    return (np.abs(STANDING - choice.center) <= choice.scale / 2).all(axis=1)


# --- reproducible ---------------------------------------------------------------------------------------------------


def test_the_same_sample_of_the_same_epoch_gets_the_same_choice() -> None:
    config = AugmentConfig()
    assert [numbers(draw(config, index)) for index in range(20)] == [
        numbers(draw(config, index)) for index in range(20)
    ]


def test_another_epoch_gets_another_choice() -> None:
    config = AugmentConfig()
    assert len({numbers(draw(config, epoch=epoch)) for epoch in range(20)}) == 20


def test_seed_epoch_and_index_each_change_the_stream() -> None:
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)]
    assert len({sample_generator(*key).random() for key in keys}) == len(keys)


# --- ranges ---------------------------------------------------------------------------------------------------------


def test_everything_off_leaves_the_crop_as_it_was() -> None:
    assert {numbers(choice) for choice in draws(OFF, 20)} == {(*CENTER, *SCALE, 0.0, False)}


def test_the_size_changes_within_its_range_and_keeps_the_shape() -> None:
    scales = np.array([choice.scale for choice in draws(AugmentConfig(scale=0.25, half_body_prob=0))])
    factors = scales[:, 0] / SCALE[0]
    assert 0.75 <= factors.min() < 0.8 and 1.2 < factors.max() <= 1.25
    np.testing.assert_allclose(scales[:, 0] / scales[:, 1], SCALE[0] / SCALE[1])


def test_the_rotation_stays_within_its_range_and_goes_both_ways() -> None:
    angles = np.array([choice.rotation_deg for choice in draws(AugmentConfig(rotation_deg=45, rotation_prob=1))])
    assert -45 <= angles.min() < -40 and 40 < angles.max() <= 45


def test_normal_scale_and_rotation_are_clipped_normals() -> None:
    # P(|z| > 1) = 0.317 for the scale, P(|z| > 2) = 0.0455 for the rotation.
    config = AugmentConfig(distribution="normal", scale=0.3, rotation_deg=30, rotation_prob=1, half_body_prob=0)
    choices = draws(config, 4000)
    scale = np.array([choice.scale[0] / SCALE[0] - 1 for choice in choices])
    angle = np.array([choice.rotation_deg for choice in choices])
    assert np.abs(scale).max() == pytest.approx(0.3) and np.abs(angle).max() == pytest.approx(60)
    assert 0.28 < np.isclose(np.abs(scale), 0.3).mean() < 0.35
    assert 0.035 < np.isclose(np.abs(angle), 60).mean() < 0.058
    assert np.abs(scale[np.abs(scale) < 0.29]).mean() == pytest.approx(0.3 * 0.46, rel=0.05)
    assert np.quantile(np.abs(angle), 0.6827) == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.5, 70, 130), (1.0, 200, 200)])
def test_as_many_crops_are_rotated_as_asked(probability: float, low: int, high: int) -> None:
    rotated = sum(choice.rotation_deg != 0 for choice in draws(AugmentConfig(rotation_prob=probability)))
    assert low <= rotated <= high


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.5, 70, 130), (1.0, 200, 200)])
def test_as_many_crops_are_flipped_as_asked(probability: float, low: int, high: int) -> None:
    assert low <= sum(choice.flip for choice in draws(AugmentConfig(flip_prob=probability))) <= high


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.3, 35, 90), (1.0, 200, 200)])
def test_as_many_crops_are_of_half_a_body_as_asked(probability: float, low: int, high: int) -> None:
    config = AugmentConfig(flip_prob=0, scale=0, rotation_prob=0, half_body_prob=probability)
    assert low <= sum(tuple(choice.scale) != tuple(SCALE) for choice in draws(config)) <= high


# --- half a body ----------------------------------------------------------------------------------------------------


def test_a_half_body_crop_shows_the_whole_half_and_both_halves_occur() -> None:
    upper = np.array(COCO.upper_body)
    halves = [(shown(choice)[upper].all(), shown(choice)[~upper].all()) for choice in draws(HALF_BODY, 100)]
    assert all(top or bottom for top, bottom in halves)
    assert sum(top for top, _ in halves) > 30 and sum(bottom for _, bottom in halves) > 30


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.6915, 250, 305), (1.0, 400, 400)])
def test_as_many_half_bodies_are_upper_ones_as_asked(probability: float, low: int, high: int) -> None:
    config = dataclasses.replace(HALF_BODY, upper_body_prob=probability)
    upper = np.array(COCO.upper_body)
    assert low <= sum(bool(shown(choice)[upper].all()) for choice in draws(config, 400)) <= high


@pytest.mark.parametrize("upper_first", [True, False])
def test_of_two_halves_with_two_joints_each_the_upper_one_is_taken(upper_first: bool) -> None:
    visible = np.isin(np.arange(17), (5, 6, 15, 16))  # shoulders and ankles
    center, _ = half_body(upper_first, COCO, CENTER, SCALE, STANDING, visible)
    np.testing.assert_allclose(center, STANDING[5:7].mean(axis=0))


def test_a_half_body_crop_has_the_shape_of_the_whole_one() -> None:
    for choice in draws(HALF_BODY, 20):
        assert choice.scale[0] / choice.scale[1] == pytest.approx(SCALE[0] / SCALE[1])
        assert choice.scale[0] < SCALE[0]


def test_a_half_body_crop_follows_the_visible_joints_only() -> None:
    visible = np.where(np.isin(np.arange(17), (5, 6, 7, 8)), 2, 0)  # shoulders and elbows
    expected = STANDING[5:9]
    for choice in draws(HALF_BODY, 20, visible):
        np.testing.assert_allclose(choice.center, expected.mean(axis=0))
        assert (np.abs(expected - choice.center) <= choice.scale / 2).all()


@pytest.mark.parametrize(
    ("joints", "center", "scale"),
    [
        ([(100, 30), (120, 60), (128, 90), (130, 115)], (119.5, 73.75), (1.5 * 85 * 0.75, 1.5 * 85)),
        ([(30, 100), (60, 120), (90, 128), (115, 130)], (73.75, 119.5), (1.5 * 85, 1.5 * 85 / 0.75)),
    ],
    ids=["high", "wide"],
)
def test_a_half_body_crop_is_centred_on_the_joints_mean_and_half_as_large_again_as_their_extent(
    joints: list[tuple[float, float]], center: tuple[float, float], scale: tuple[float, float]
) -> None:
    """Of a lopsided person: nose, shoulder, elbow and wrist of one side. Their extent's middle is elsewhere."""
    keypoints, visible = np.zeros((17, 2)), np.isin(np.arange(17), (0, 5, 7, 9))
    keypoints[visible] = joints
    found = half_body(True, COCO, CENTER, SCALE, keypoints, visible)
    np.testing.assert_allclose(found, (center, scale))


def test_three_visible_joints_are_too_few_for_a_half() -> None:
    visible = np.where(np.arange(17) < 3, 2, 0)
    assert {numbers(choice) for choice in draws(HALF_BODY, 20, visible)} == {(*CENTER, *SCALE, 0.0, False)}


def test_joints_without_halves_keep_the_whole_crop() -> None:
    hand = skeleton_from_names(("palm", "thumb", "index", "middle", "ring"))
    assert numbers(draw(HALF_BODY, visible=np.full(5, 2), skeleton=hand)) == (*CENTER, *SCALE, 0.0, False)


def test_joints_on_one_point_keep_the_whole_crop() -> None:
    choice = random_crop(sample_generator(0, 0, 0), HALF_BODY, COCO, CENTER, SCALE, np.ones((17, 2)), ALL_VISIBLE)
    assert numbers(choice) == (*CENTER, *SCALE, 0.0, False)


# --- colour ---------------------------------------------------------------------------------------------------------


def test_no_colour_change_leaves_the_pixels() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    np.testing.assert_array_equal(random_color(sample_generator(0, 0, 0), AugmentConfig(color=0), crop), crop)


def test_each_channel_changes_by_its_own_factor_within_the_range() -> None:
    crop = np.full((4, 4, 3), 100, np.uint8)
    changed = np.stack([random_color(sample_generator(0, 0, i), AugmentConfig(color=0.2), crop) for i in range(200)])
    assert (changed == changed[:, :1, :1]).all()
    factors = changed[:, 0, 0] / 100
    assert 0.79 <= factors.min() < 0.83 and 1.17 < factors.max() <= 1.2
    assert (np.ptp(factors, axis=1) > 0).mean() > 0.9


def test_bright_colours_stay_bytes() -> None:
    crop = np.full((4, 4, 3), 250, np.uint8)
    changed = np.stack([random_color(sample_generator(0, 0, i), AugmentConfig(color=0.5), crop) for i in range(50)])
    assert changed.dtype == np.uint8 and changed.max() == 255 and changed.min() >= 124


def test_a_changed_colour_is_rounded_and_not_cut_off() -> None:
    levels = np.arange(200, dtype=np.uint8)
    crop = np.broadcast_to(levels[:, None, None], (200, 1, 3))
    changed = [random_color(sample_generator(0, 0, i), AugmentConfig(color=0.2), crop)[:, 0] for i in range(50)]
    offsets = [np.polyfit(levels, channels, 1)[1] for channels in changed]  # changed = factor · level + offset
    assert np.abs(np.mean(offsets)) < 0.05  # -0.5 where all are cut off


# --- how far crops reach --------------------------------------------------------------------------------------------


def corners(choice: CropChoice) -> NDArray[np.floating]:
    """(4, 2): where the corners of the crop lie in the picture."""
    height, width = 256, 192
    matrix = crop_matrix(choice.center, choice.scale, (height, width), choice.rotation_deg, choice.flip)
    return transform_points(invert_affine(matrix), [[0, 0], [width, 0], [0, height], [width, height]])


def reach(config: AugmentConfig, visible: NDArray = ALL_VISIBLE) -> NDArray[np.floating]:
    """[[left, top], [right, bottom]]"""
    region = reachable_region(config, COCO, CENTER[None], SCALE[None], STANDING[None], visible[None])
    return region.reshape(2, 2)


REACHES = [
    OFF,
    AugmentConfig(flip_prob=0.5, scale=0.25, rotation_prob=0, half_body_prob=0),
    AugmentConfig(flip_prob=0, scale=0, rotation_prob=1, rotation_deg=20, half_body_prob=0),
    AugmentConfig(flip_prob=0, scale=0.25, rotation_prob=1, rotation_deg=45, half_body_prob=0),
    AugmentConfig(flip_prob=0, scale=0.1, rotation_prob=1, rotation_deg=180, half_body_prob=0),
    AugmentConfig(flip_prob=0.5, scale=0.25, rotation_prob=1, rotation_deg=45, half_body_prob=0.5),
    AugmentConfig(flip_prob=0.5, scale=0, rotation_prob=0, half_body_prob=0.5),
    AugmentConfig(distribution="normal", scale=0.3, rotation_prob=1, rotation_deg=30, half_body_prob=0),
]


@pytest.mark.parametrize("config", REACHES)
def test_no_crop_leaves_the_reachable_region_and_some_come_near_its_border(config: AugmentConfig) -> None:
    low, high = reach(config)
    points = np.concatenate([corners(choice) for choice in draws(config, 3000)])
    mirrored_px = 1 * SCALE[0] / 192 * (1 + config.scale)  # a mirrored crop's pixels are those of 0 … W − 1
    assert (points > low - mirrored_px - 1e-6).all() and (points < high + mirrored_px + 1e-6).all()
    assert (points.min(axis=0) < low + 6).all() and (points.max(axis=0) > high - 6).all()


def test_the_region_covers_the_half_whose_joints_are_visible() -> None:
    far_arm = STANDING.copy()
    far_arm[9] = (400, 115)
    region = reachable_region(
        HALF_BODY, COCO, CENTER[None], SCALE[None], far_arm[None], np.where(np.arange(17) < 11, 2, 0)[None]
    )
    assert region[0, 2] > CENTER[0] + SCALE[0] / 2 + 100


# --- occluders ------------------------------------------------------------------------------------------------------

BOX, PICTURE_WH = np.array([40.0, 30, 60, 80]), np.array([200, 150])


def occluders(
    bbox_xywh: NDArray = BOX, probability: float = 1, count: int = 500, picture_wh: NDArray = PICTURE_WH
) -> list[NDArray | None]:
    config = AugmentConfig(occlusion_prob=probability)
    return [random_occluder(np.random.default_rng(seed), config, bbox_xywh, picture_wh) for seed in range(count)]


def test_occluders_are_as_frequent_as_asked() -> None:
    assert all(occluder is None for occluder in occluders(probability=0, count=10))
    assert 200 < sum(occluder is not None for occluder in occluders(probability=0.5)) < 300


def test_occluders_cover_up_to_70_percent_of_the_box_in_shapes_up_to_one_to_three() -> None:
    width, height = np.array([box[2:] - box[:2] for box in occluders() if box is not None]).T
    assert 0.66 * BOX[2:].prod() < (width * height).max() <= 0.7 * BOX[2:].prod()
    large = width * height > 0.1 * BOX[2:].prod()
    ratio = height[large] / width[large]
    assert 0.27 < ratio.min() < 0.5 and 2.5 < ratio.max() < 3.7
    tall = [box for box in occluders(100 * BOX, count=2000, picture_wh=100 * PICTURE_WH) if box is not None]
    width, height = np.array([box[2:] - box[:2] for box in tall]).T
    assert (height / width)[width > 300].max() == pytest.approx(1 / 0.3, rel=0.01)
    # Height over width is uniform from 0.3 to 3.33, so it exceeds 1 with probability 0.77.
    assert (ratio > 1).mean() == pytest.approx(0.77, abs=0.06)


def test_occluders_that_fit_lie_in_the_box_and_all_in_the_picture() -> None:
    boxes = np.array([box for box in occluders() if box is not None])
    assert len(boxes) == 500
    fits = (boxes[:, 2:] - boxes[:, :2] < BOX[2:] - 1).all(axis=1)
    # The authors' leave out the box's last pixel: the far corner is drawn below the box's width - 1, then cut off.
    assert (boxes[fits, :2] >= BOX[:2]).all() and (boxes[fits, 2:].max(axis=0) == BOX[:2] + BOX[2:] - 2).all()
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= PICTURE_WH).all()
    assert not fits.all()  # others reach beyond the box


def test_a_box_of_the_whole_picture_gets_occluders_that_fit_into_it() -> None:
    boxes = [box for box in occluders(np.array([0.0, 0, 199, 149])) if box is not None]
    assert len(boxes) == 500
    assert all((box[2:] < PICTURE_WH).all() for box in boxes)  # they leave the picture's last pixel, as the authors'


def test_a_box_larger_than_its_picture_ends_without_an_occluder_instead_of_never() -> None:
    assert occluders(np.array([-500.0, -500, 2000, 2000]), count=3) == [None] * 3


def test_no_persons_reach_nothing() -> None:
    empty = np.zeros((0, 2))
    assert reachable_region(HALF_BODY, COCO, empty, empty, np.zeros((0, 17, 2)), np.zeros((0, 17))).shape == (0, 4)
