"""Pixels to targets, predictions to pixels, and the flip test."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlepose.pose.codec import PoseOutput, average_outputs, decode, encode, flip_output, joint_scores
from rlepose.pose.frames import Frames
from rlepose.pose.geometry import crop_matrix, transform_points
from rlepose.pose.skeleton import COCO

CROP_HW = (256, 192)
CROP_WH = np.array([192.0, 256.0])
PERMUTATION = COCO.flip_permutation


def random_output(seed: int = 0, joints: int = 17) -> PoseOutput:
    generator = torch.Generator().manual_seed(seed)
    mu, sigma = torch.rand((2, 4, joints, 2), generator=generator)
    return PoseOutput(mu - 0.5, sigma)


def points_in_crop(matrix: NDArray, count: int, seed: int = 0) -> NDArray:
    """Points of the picture that a crop shows."""
    inverse = np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))[:2]
    return transform_points(inverse, np.random.default_rng(seed).uniform((0, 0), (191, 255), (count, 2)))


# --- the authors' numbers -------------------------------------------------------------------------------------------


def test_decoded_keypoints_are_the_authors(reference: Mapping[str, NDArray]) -> None:
    matrix = crop_matrix(reference["geometry/center"], reference["geometry/scale"], CROP_HW)
    keypoints, sigma = decode(reference["decode/mu"], None, Frames(matrix, CROP_WH))
    np.testing.assert_allclose(keypoints, reference["decode/image_keypoints"], rtol=1e-5, atol=1e-3)
    assert sigma is None


def test_flipped_prediction_is_the_authors(reference: Mapping[str, NDArray]) -> None:
    mu, score = torch.from_numpy(reference["decode/mu"]), torch.from_numpy(reference["decode/score"])
    flipped = flip_output(PoseOutput(mu, (1 - score).expand_as(mu)), PERMUTATION, crop_width=192)
    np.testing.assert_allclose(flipped.mu, reference["flip/mu"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(joint_scores(flipped), reference["flip/score"][..., 0], rtol=1e-5)


# --- encode ---------------------------------------------------------------------------------------------------------


def test_the_crops_corners_are_half_a_crop_from_the_middle() -> None:
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    target, _ = encode(np.array([[0.0, 0], [192, 256], [96, 128]]), np.full(3, 2), Frames(identity, CROP_WH))
    np.testing.assert_array_equal(target, [[-0.5, -0.5], [0.5, 0.5], [0, 0]])


def test_decode_brings_the_encoded_keypoints_back() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        matrix = crop_matrix(rng.uniform(0, 500, 2), rng.uniform(30, 900) * np.array([0.75, 1]), CROP_HW)
        keypoints = points_in_crop(matrix, 17)
        target, weight = encode(keypoints, np.ones(17, int), Frames(matrix, CROP_WH))
        back, _ = decode(target[None], None, Frames(matrix[None], CROP_WH))
        assert (weight == 1).all()
        np.testing.assert_allclose(back[0], keypoints, atol=1e-3)


@pytest.mark.parametrize("outside", [(-1, 100), (193, 100), (100, -1), (100, 257), (1e6, -1e6)])
def test_a_joint_outside_the_crop_has_no_weight_and_target_0(outside: tuple[float, float]) -> None:
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    target, weight = encode(np.array([outside, (50, 50)]), np.full(2, 2), Frames(identity, CROP_WH))
    np.testing.assert_array_equal(weight, [[0, 0], [1, 1]])
    np.testing.assert_array_equal(target[0], (0, 0))


def test_a_joint_outside_the_crop_keeps_its_target_where_it_counts() -> None:
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    points, visible = np.array([(-96.0, 128), (96, 512), (96, 128), (400, 0)]), np.array([2, 1, 1, 0])
    target, weight = encode(points, visible, Frames(identity, CROP_WH), hidden_weight=0.5, outside_weight=0.25)
    np.testing.assert_array_equal(target, [[-1, 0], [0, 1.5], [0, 0], [0, 0]])
    np.testing.assert_array_equal(weight[:, 0], [0.25, 0.125, 0.5, 0])


def test_a_joint_more_than_a_metre_from_the_root_in_depth_has_no_label() -> None:
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    points, depth = np.full((4, 2), 96.0), np.array([1001.0, -1001, 1000, np.nan])
    target, weight = encode(points, np.full(4, 2), Frames(identity, CROP_WH), depth_mm=depth)
    np.testing.assert_array_equal(weight, [[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(target[:2], 0)


def test_a_joint_without_label_has_no_weight_and_target_0() -> None:
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    target, weight = encode(np.full((3, 2), 50.0), np.array([0, 1, 2]), Frames(identity, CROP_WH))
    np.testing.assert_array_equal(weight, [[0, 0], [1, 1], [1, 1]])
    np.testing.assert_array_equal(target[0], (0, 0))


@pytest.mark.parametrize("hidden_weight", [0, 0.25])
def test_a_labelled_joint_that_is_hidden_has_its_own_weight(hidden_weight: float) -> None:
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    target, weight = encode(np.full((3, 2), 96.0), np.array([0, 1, 2]), Frames(identity, CROP_WH), hidden_weight)
    np.testing.assert_array_equal(weight[:, 0], [0, hidden_weight, 1])
    assert target[1, 1] == (96 / 256 - 0.5 if hidden_weight else 0)


@pytest.mark.parametrize("nothing", [np.nan, np.inf])
def test_a_joint_without_label_may_have_any_coordinates(nothing: float) -> None:
    matrix = crop_matrix((50, 50), (96, 128), CROP_HW, 20)
    target, weight = encode(np.array([(nothing, nothing), (50, 50)]), np.array([0, 2]), Frames(matrix, CROP_WH))
    assert np.isfinite(target).all()
    np.testing.assert_array_equal(weight, [[0, 0], [1, 1]])


def test_targets_and_weights_are_float32() -> None:
    target, weight = encode(np.ones((3, 2)), np.ones(3, int), Frames(crop_matrix((0, 0), (96, 128), CROP_HW), CROP_WH))
    assert target.dtype == weight.dtype == np.float32


# --- depth ----------------------------------------------------------------------------------------------------------


def test_depth_comes_back_in_mm_whatever_the_crop() -> None:
    rng = np.random.default_rng(2)
    for flip in (False, True):
        matrix = crop_matrix((200, 150), (150, 200), CROP_HW, rng.uniform(-30, 30), flip)
        depth = rng.uniform(-900, 900, 17)
        target, weight = encode(points_in_crop(matrix, 17), np.full(17, 2), Frames(matrix, CROP_WH), depth_mm=depth)
        assert target.shape == weight.shape == (17, 3) and (weight == 1).all()
        back, sigma = decode(target[None], np.full((1, 17, 3), 0.01), Frames(matrix[None], CROP_WH))
        np.testing.assert_allclose(back[0, :, 2], depth, atol=1e-3)
        assert sigma is not None
        np.testing.assert_allclose(sigma[0, :, 2], 20)


def test_a_joint_without_depth_label_has_weight_in_the_plane_alone() -> None:
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    points = np.array([(96.0, 128), (96, 128), (-5, 0)])
    target, weight = encode(points, np.full(3, 2), Frames(identity, CROP_WH), depth_mm=np.array([np.nan, 100, 100]))
    np.testing.assert_array_equal(weight, [[1, 1, 0], [1, 1, 1], [0, 0, 0]])
    np.testing.assert_allclose(target[:, 2], [0, 0.05, 0])


def test_mirroring_a_prediction_leaves_its_depth_and_swaps_sides() -> None:
    output = PoseOutput(torch.rand(2, 17, 3), torch.rand(2, 17, 3))
    flipped = flip_output(output, PERMUTATION, 192)
    assert flipped.sigma is not None and output.sigma is not None
    torch.testing.assert_close(flipped.mu[..., 1:], output.mu[:, list(PERMUTATION), 1:])
    torch.testing.assert_close(flipped.sigma, output.sigma[:, list(PERMUTATION)])


# --- decode ---------------------------------------------------------------------------------------------------------


def test_sigma_in_pixels_is_its_share_of_the_region() -> None:
    scale = np.array([[60.0, 80], [300, 400]])
    matrix = crop_matrix(np.array([[30.0, 40], [500, 20]]), scale, CROP_HW)
    _, sigma = decode(np.zeros((2, 5, 2)), np.full((2, 5, 2), 0.1), Frames(matrix, CROP_WH))
    assert sigma is not None
    np.testing.assert_allclose(sigma, np.repeat(0.1 * scale[:, None], 5, axis=1))


# --- flip test ------------------------------------------------------------------------------------------------------


def test_flipping_twice_changes_nothing() -> None:
    output = random_output()
    again = flip_output(flip_output(output, PERMUTATION, 192), PERMUTATION, 192)
    torch.testing.assert_close(again.mu, output.mu)
    torch.testing.assert_close(again.sigma, output.sigma)


def test_flipping_leaves_its_input_alone() -> None:
    output = random_output()
    before = output.mu.clone()
    flip_output(output, PERMUTATION, 192)
    torch.testing.assert_close(output.mu, before)


def test_a_perfect_prediction_on_the_mirrored_crop_flips_to_the_target() -> None:
    center, scale = (200, 150), (150, 200)
    matrix, mirrored = (crop_matrix(center, scale, CROP_HW, flip=flip) for flip in (False, True))
    keypoints, visible, swap = points_in_crop(matrix, 17), np.full(17, 2), list(PERMUTATION)
    target, _ = encode(keypoints, visible, Frames(matrix, CROP_WH))
    on_mirrored, _ = encode(keypoints[swap], visible[swap], Frames(mirrored, CROP_WH))
    flipped = flip_output(PoseOutput(torch.from_numpy(on_mirrored)[None], None), PERMUTATION, 192)
    np.testing.assert_allclose(flipped.mu[0], target, atol=1e-6)


def test_the_average_lies_halfway() -> None:
    first, second = random_output(1), random_output(2)
    mean = average_outputs(first, second)
    assert mean.sigma is not None and first.sigma is not None and second.sigma is not None
    torch.testing.assert_close(mean.mu - first.mu, second.mu - mean.mu)
    torch.testing.assert_close(mean.sigma - first.sigma, second.sigma - mean.sigma)


def test_a_model_without_sigma_is_flipped_and_averaged_without() -> None:
    output = PoseOutput(random_output().mu, None)
    assert average_outputs(output, flip_output(output, PERMUTATION, 192)).sigma is None


# --- scores ---------------------------------------------------------------------------------------------------------


def test_a_joint_scores_one_minus_its_mean_sigma() -> None:
    output = PoseOutput(torch.zeros(1, 2, 2), torch.tensor([[[0.0, 0.0], [0.2, 0.6]]]))
    torch.testing.assert_close(joint_scores(output), torch.tensor([[1.0, 0.6]]))


def test_without_sigma_every_joint_scores_one() -> None:
    torch.testing.assert_close(joint_scores(PoseOutput(torch.rand(3, 5, 2), None)), torch.ones(3, 5))
