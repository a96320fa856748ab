"""From crops to poses in the picture: what validation and the Predictor both do."""

import numpy as np
from torch import Tensor, nn

from rlepose.evaluation.recalibration import Recalibration
from rlepose.losses import Criterion
from rlepose.losses.criterion import SMALLEST_SIGMA
from rlepose.pose.codec import PoseOutput, average_outputs, decode, flip_output
from rlepose.pose.frames import Frames
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import H36M_ROOT


def predict_crops(model: nn.Module, criterion: Criterion, image: Tensor, flip_permutation: Tensor | None) -> PoseOutput:
    """image (B, 3, H, W) RGB uint8 -> positions and scales; with a flip permutation (K,) averaged with those of the
    mirrored crops."""
    output = criterion.main.predict(model(image))
    if flip_permutation is not None:
        mirrored = criterion.main.predict(model(image.flip(-1)))
        output = average_outputs(output, flip_output(mirrored, flip_permutation, image.shape[-1]))
    return output._replace(heatmaps=None)  # 200 KB a person, which have served their purpose


def in_picture(
    mu: Floats,
    sigma: Floats | None,
    recalibration: Recalibration | None,
    frames: Frames,
    root_depth: bool = False,
) -> tuple[Floats, Floats | None]:
    """mu, sigma (N, K, D) in network units, in N frames -> the same in px, sigma corrected.

    In 3-D the third coordinate is in mm, relative to the root, whose own is 0. root_depth: whether the network has
    learned that of the root, too (loss.root_depth): its prediction is then taken off all others, as the authors do.

    A loss without sigma has the constant 1, a crop's width and height, which a recalibration corrects; without one it
    stays None.
    """
    if sigma is not None:
        sigma = np.maximum(sigma, SMALLEST_SIGMA)
    if recalibration is not None:
        sigma = recalibration.apply(np.ones_like(mu) if sigma is None else sigma)
    keypoints, sigma = decode(mu, sigma, frames)
    if keypoints.shape[-1] == 3:
        if root_depth:
            keypoints[..., 2] -= keypoints[:, [H36M_ROOT], 2]
        for values in (keypoints, sigma):
            if values is not None:
                values[:, H36M_ROOT, 2] = 0
    return keypoints, sigma
