"""Between pixels and what the network regresses: encode and decode, side by side.

Network units: crop pixels divided by the crop's width and height, minus 0.5, so that the crop spans about ±0.5. `sigma`
is a scale (not a variance) in the same unit. Heatmaps have encode and decode of their own, in heatmaps.py.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlepose.geometry import Floats, invert_affine, transform_points
from rlepose.heatmaps import Heatmaps


class PoseOutput(NamedTuple):
    """What the network gives.

    mu:       (B, K, D).
    sigma:    (B, K, D), or None where the loss learns no scale.
    score:    (B, K), confidence of each joint where it does not follow from sigma, else None.
    heatmaps: what mu and score were read from, where it was heatmaps.
    """

    mu: Tensor
    sigma: Tensor | None
    score: Tensor | None = None
    heatmaps: Heatmaps | None = None


def heatmap_output(heatmaps: Heatmaps) -> PoseOutput:
    """The pose that heatmaps show: positions of the maxima, scored by them. No gradient passes but by the heatmaps."""
    with torch.no_grad():
        mu, score = heatmaps.peaks()
    return PoseOutput(mu, None, score, heatmaps)


def _size_wh(crop_size_hw: tuple[int, int]) -> NDArray[np.float64]:
    return np.array([crop_size_hw[1], crop_size_hw[0]], float)


def encode(
    keypoints: Floats,
    visible: NDArray[np.integer],
    matrix: Floats,
    crop_size_hw: tuple[int, int],
    hidden_weight: float = 1.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Target and weight of one crop.

    keypoints (K, 2) in picture pixels, visible (K,) with 0 for no label and 1 for a joint that is labelled but hidden,
    matrix (2, 3) from picture to crop -> target (K, 2), weight (K, 2): 1, `hidden_weight` or 0. A joint outside the
    crop has weight 0: the network cannot see it. Targets of weight 0 are 0.
    """
    target = transform_points(matrix, keypoints) / _size_wh(crop_size_hw) - 0.5
    inside = (np.abs(target) <= 0.5).all(axis=-1)
    weight = np.where(inside, np.select([visible > 1, visible > 0], [1.0, hidden_weight]), 0)
    weight = np.repeat(weight[:, None], 2, axis=1)
    return np.where(weight > 0, target, 0).astype(np.float32), weight.astype(np.float32)


def decode(
    mu: Floats, sigma: Floats | None, matrix: Floats, crop_size_hw: tuple[int, int]
) -> tuple[Floats, Floats | None]:
    """Network units to picture pixels.

    mu and sigma (N, K, 2), matrix (N, 2, 3) from picture to crop, without rotation -> keypoints (N, K, 2) px,
    sigma (N, K, 2) px.
    """
    size_wh = _size_wh(crop_size_hw)
    keypoints = transform_points(invert_affine(matrix), (np.asarray(mu, float) + 0.5) * size_wh)
    if sigma is None:
        return keypoints, None
    pixels_a_crop_pixel = 1 / np.abs(np.diagonal(np.asarray(matrix)[..., :2], axis1=-2, axis2=-1))
    return keypoints, np.asarray(sigma, float) * size_wh * pixels_a_crop_pixel[..., None, :]


def flip_output(output: PoseOutput, flip_permutation: tuple[int, ...] | Tensor, crop_width: int) -> PoseOutput:
    """The prediction on a mirrored crop, expressed for the crop as it was.

    Mirroring sends pixel x to W − 1 − x, so mu_x goes to −mu_x − 1 / W, and left and right change places.
    A permutation (K,) that is on the device already spares a copy for which the host waits.
    """
    permutation = torch.as_tensor(flip_permutation, device=output.mu.device)
    if output.heatmaps is not None:
        return heatmap_output(output.heatmaps.mirrored(permutation, crop_width))
    mu = output.mu[:, permutation].clone()
    mu[..., 0] = -mu[..., 0] - 1 / crop_width
    sigma, score = (None if values is None else values[:, permutation] for values in (output.sigma, output.score))
    return PoseOutput(mu, sigma, score)


def average_outputs(first: PoseOutput, second: PoseOutput) -> PoseOutput:
    """Mean of two predictions of the same crops; of their heatmaps, where they have some."""
    if first.heatmaps is not None and second.heatmaps is not None:
        return heatmap_output(first.heatmaps._replace(values=(first.heatmaps.values + second.heatmaps.values) / 2))
    sigma, score = (
        None if one is None or other is None else (one + other) / 2
        for one, other in ((first.sigma, second.sigma), (first.score, second.score))
    )
    return PoseOutput((first.mu + second.mu) / 2, sigma, score)


def joint_scores(output: PoseOutput) -> Tensor:
    """Confidence of each joint: the output's own, or 1 − mean of sigma over the coordinates, as the original has it.

    -> (B, K), in [0, 1] for a sigma in [0, 1]; ones where the network predicts neither.
    """
    if output.score is not None:
        return output.score
    if output.sigma is None:
        return torch.ones_like(output.mu[..., 0])
    return 1 - output.sigma.mean(dim=-1)
