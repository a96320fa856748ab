"""Between pixels and what the network regresses: encode and decode, side by side.

Network units: frame widths and heights minus 0.5 (frames.py); depth, the third coordinate in 3-D, in mm behind the root
joint divided by 2000. `sigma` is a scale (not a variance) in the same unit. Heatmaps have encode and decode of their
own, in heatmaps.py.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlepose.pose.frames import Frames
from rlepose.pose.geometry import Floats
from rlepose.pose.heatmaps import Heatmaps

DEPTH_UNIT_MM = 2000.0  # ±0.5, a crop's reach, is a metre before and behind the root


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


def encode(
    keypoints: Floats,
    visible: NDArray[np.integer],
    frame: Frames,
    hidden_weight: float = 1.0,
    depth_mm: Floats | None = None,
    outside_weight: float = 0.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Target and weight of one person in a frame: (K, D) float32 each, D being 3 with depth, else 2.

    A weight is 1, `hidden_weight` or 0, times `outside_weight` outside the frame. Targets of weight 0 are 0.

    Args:
        keypoints: (K, 2) px in the picture.
        visible: (K,), 0 for no label, 1 for a joint that is labelled but hidden, 2 for a visible one.
        frame: what the network sees of the picture.
        hidden_weight: weight of a joint with visible 1.
        depth_mm: (K,) mm behind the root, NaN for no label; None in 2-D. Turning or resizing the frame leaves the depth
            as it is. A joint more than 1 m before or behind the root lies outside, too.
        outside_weight: factor for a joint outside the frame.

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
    label_weight = np.select([visible > 1, visible > 0], [1.0, hidden_weight])
    if depth_mm is not None:
        depth = depth_mm / DEPTH_UNIT_MM
        inside &= ~(np.abs(depth) > 0.5)  # an unknown depth is not outside
        target = np.column_stack([target, depth])
    weight = np.repeat(np.where(inside, label_weight, outside_weight * label_weight)[:, None], target.shape[1], axis=1)
    if depth_mm is not None:
        weight[:, 2] = np.where(np.isfinite(depth_mm), weight[:, 2], 0)
    return np.where(weight > 0, target, 0).astype(np.float32), weight.astype(np.float32)


def decode(mu: Floats, sigma: Floats | None, frames: Frames) -> tuple[Floats, Floats | None]:
    """Network units to picture pixels.

    mu and sigma (N, K, D) in N frames without rotation -> keypoints (N, K, D) and sigma (N, K, D): x and y in px and,
    in 3-D, depth relative to the root in mm.

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
    """The prediction on a mirrored crop, expressed for the crop as it was.

    Mirroring sends pixel x to W − 1 − x, so mu_x goes to −mu_x − 1 / W, and left and right change places. y and depth
    stay.
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
