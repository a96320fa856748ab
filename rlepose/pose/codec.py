"""Convert poses between picture pixels and network units.

Network units: frame widths and heights minus 0.5 (frames.py). Depth, the third coordinate in 3-D, is in mm behind the
root joint, divided by 2000. `sigma` is a scale (not a variance) in the same unit. heatmaps.py encodes and decodes
heatmaps.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlepose.pose.frames import Frames
from rlepose.pose.geometry import Floats
from rlepose.pose.heatmaps import Heatmaps

DEPTH_UNIT_MM = 2000.0  # so that ±0.5, the extent of a crop, is one metre in front of and behind the root


class PoseOutput(NamedTuple):
    """The network's output.

    mu:       (B, K, D).
    sigma:    (B, K, D), or None if the loss learns no scale.
    score:    (B, K), confidence of each joint; None if sigma determines it.
    heatmaps: the heatmaps from which mu and score were read; None for other heads.
    """

    mu: Tensor
    sigma: Tensor | None
    score: Tensor | None = None
    heatmaps: Heatmaps | None = None


def heatmap_output(heatmaps: Heatmaps) -> PoseOutput:
    """Read a pose from heatmaps: positions of the maxima, scored by their values. Only the heatmaps carry gradients."""
    with torch.no_grad():
        mu, score = heatmaps.peaks()
    return PoseOutput(mu, None, score, heatmaps)


def encode(
    keypoints: Floats,
    visible: NDArray[np.integer],
    frame: Frames,
    hidden_weight: float = 1.0,
    depth_mm: Floats | None = None,
    outside_weight: float = 0.0,
    factor: Floats | float = 1.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return target and weight of one person in a frame: (K, D) float32 each, with D = 3 if depth is given, else 2.

    A joint's weight is 1, `hidden_weight` or 0, times `outside_weight` if the joint is outside the frame, times
    `factor`. Targets with weight 0 are 0.

    Args:
        keypoints: (K, 2) px in the picture.
        visible: (K,), 0 for an unlabelled joint, 1 for a labelled but hidden one, 2 for a visible one.
        frame: the region of the picture that the network sees.
        hidden_weight: weight of joints with visible = 1.
        depth_mm: (K,) mm behind the root, NaN for no label; None in 2-D. Rotating or scaling the frame does not change
            the depth. A joint more than 1 m in front of or behind the root counts as outside the frame.
        outside_weight: factor for joints outside the frame.
        factor: (K,) further factor of each joint, or one of all.

    Example:
        >>> frame = Frames.of_boxes([0.0, 0.0, 100.0, 200.0])
        >>> target, weight = encode(np.array([[25.0, 50.0], [50.0, 100.0]]), np.array([2, 0]), frame)
        >>> target.tolist()
        [[-0.25, -0.25], [0.0, 0.0]]
        >>> weight.tolist()
        [[1.0, 1.0], [0.0, 0.0]]
    """
    target = frame.from_picture(keypoints)
    inside = (np.abs(target) <= 0.5).all(axis=-1)
    label_weight = factor * np.select([visible > 1, visible > 0], [1.0, hidden_weight])
    if depth_mm is not None:
        depth = depth_mm / DEPTH_UNIT_MM
        inside &= ~(np.abs(depth) > 0.5)  # an unknown depth is not outside
        target = np.column_stack([target, depth])
    weight = np.repeat(np.where(inside, label_weight, outside_weight * label_weight)[:, None], target.shape[1], axis=1)
    if depth_mm is not None:
        weight[:, 2] = np.where(np.isfinite(depth_mm), weight[:, 2], 0)
    return np.where(weight > 0, target, 0).astype(np.float32), weight.astype(np.float32)


def decode(mu: Floats, sigma: Floats | None, frames: Frames) -> tuple[Floats, Floats | None]:
    """Convert network units to picture pixels; depth to mm.

    Args:
        mu: (N, K, D) network units.
        sigma: (N, K, D) network units, or None.
        frames: N frames without rotation.

    Returns:
        keypoints and sigma, (N, K, D) each: x and y in px and, in 3-D, depth relative to the root in mm.

    Example:
        >>> frames = Frames.of_boxes([[0.0, 0.0, 100.0, 200.0]])
        >>> keypoints, sigma = decode(np.array([[[-0.25, -0.25]]]), np.array([[[0.1, 0.1]]]), frames)
        >>> keypoints.tolist(), sigma.tolist()
        ([[[25.0, 50.0]]], [[[10.0, 20.0]]])
    """
    mu = np.asarray(mu, float)
    keypoints = np.concatenate([frames.to_picture(mu[..., :2]), mu[..., 2:] * DEPTH_UNIT_MM], axis=-1)
    if sigma is None:
        return keypoints, None
    sigma = np.asarray(sigma, float)
    pixels = frames.lengths_to_picture(sigma[..., :2])
    return keypoints, np.concatenate([pixels, sigma[..., 2:] * DEPTH_UNIT_MM], axis=-1)


def flip_output(output: PoseOutput, flip_permutation: tuple[int, ...] | Tensor, crop_width: int) -> PoseOutput:
    """Return the prediction for the original crop, given the prediction for its mirror image.

    Mirroring maps pixel x to W − 1 − x, so mu_x becomes −mu_x − 1 / W, and left and right joints are swapped. y and
    depth do not change. If flip_permutation (K,) is a tensor on the device, no copy blocks the host.
    """
    permutation = torch.as_tensor(flip_permutation, device=output.mu.device)
    if output.heatmaps is not None:
        return heatmap_output(output.heatmaps.mirrored(permutation, crop_width))
    mu = output.mu[:, permutation].clone()
    mu[..., 0] = -mu[..., 0] - 1 / crop_width
    sigma, score = (None if values is None else values[:, permutation] for values in (output.sigma, output.score))
    return PoseOutput(mu, sigma, score)


def average_outputs(first: PoseOutput, second: PoseOutput) -> PoseOutput:
    """Return the mean of two predictions for the same crops; if there are heatmaps, average these instead."""
    if first.heatmaps is not None and second.heatmaps is not None:
        return heatmap_output(first.heatmaps._replace(values=(first.heatmaps.values + second.heatmaps.values) / 2))
    sigma, score = (
        None if one is None or other is None else (one + other) / 2
        for one, other in ((first.sigma, second.sigma), (first.score, second.score))
    )
    return PoseOutput((first.mu + second.mu) / 2, sigma, score)


def joint_scores(output: PoseOutput) -> Tensor:
    """Return the confidence of each joint: the output's score, or 1 − the mean of sigma, as in the authors' code.

    -> (B, K), in [0, 1] if sigma is in [0, 1]; ones if the output has neither a score nor a sigma.
    """
    if output.score is not None:
        return output.score
    if output.sigma is None:
        return torch.ones_like(output.mu[..., 0])
    return 1 - output.sigma.mean(dim=-1)
