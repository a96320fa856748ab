"""Random changes to a training crop. Every choice comes from the generator that is passed in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlepose.config import AugmentConfig
from rlepose.geometry import Floats, box_to_center_scale
from rlepose.skeleton import Skeleton

# As in the original: a half needs this many visible joints, and its crop is the joints' extent times the padding.
_HALF_BODY_IF_MORE_THAN = 3
_HALF_BODY_LEAST_JOINTS = 2
_HALF_BODY_PADDING = 1.5


@dataclass(frozen=True)
class CropChoice:
    """What to cut out of the picture, and how."""

    center: Floats
    scale: Floats
    rotation_deg: float = 0.0
    flip: bool = False


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The source of randomness of one sample in one epoch, whichever process asks."""
    return np.random.default_rng((1, seed, epoch, index))


def order_generator(seed: int, epoch: int) -> np.random.Generator:
    """The source of the order of an epoch's samples; its stream is none of `sample_generator`'s."""
    return np.random.default_rng((2, seed, epoch))


def random_crop(
    rng: np.random.Generator,
    config: AugmentConfig,
    skeleton: Skeleton,
    center: Floats,
    scale: Floats,
    keypoints: Floats,
    visible: NDArray[np.integer],
) -> CropChoice:
    """Half body, scale, rotation and flip of one person's crop.

    center and scale (2,) px of the plain crop, keypoints (K, 2) px, visible (K,).
    """
    if rng.random() < config.half_body_prob:
        center, scale = _half_body(rng, skeleton, center, scale, keypoints, visible > 0)
    scale = scale * rng.uniform(1 - config.scale, 1 + config.scale)
    rotation = rng.uniform(-config.rotation_deg, config.rotation_deg) if rng.random() < config.rotation_prob else 0.0
    return CropChoice(center, scale, rotation, bool(rng.random() < config.flip_prob))


def _half_body(
    rng: np.random.Generator,
    skeleton: Skeleton,
    center: Floats,
    scale: Floats,
    keypoints: Floats,
    visible: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """The region around the upper or the lower body's visible joints, or the region as it was."""
    if skeleton.upper_body is None or visible.sum() <= _HALF_BODY_IF_MORE_THAN:
        return center, scale
    upper = visible & np.array(skeleton.upper_body)
    lower = visible & ~np.array(skeleton.upper_body)
    first, second = (upper, lower) if rng.random() < 0.5 else (lower, upper)
    chosen = first if first.sum() > _HALF_BODY_LEAST_JOINTS else second
    if chosen.sum() < _HALF_BODY_LEAST_JOINTS:
        return center, scale
    low, high = keypoints[chosen].min(axis=0), keypoints[chosen].max(axis=0)
    if (high - low).max() < 1:
        return center, scale
    _, half_scale = box_to_center_scale(
        np.concatenate([low, high - low]), float(scale[0] / scale[1]), _HALF_BODY_PADDING
    )
    return keypoints[chosen].mean(axis=0), half_scale


def random_color(rng: np.random.Generator, config: AugmentConfig, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each channel of an RGB crop times its own factor in 1 ± config.color."""
    if not config.color:
        return crop
    factors = rng.uniform(1 - config.color, 1 + config.color, size=3)
    return np.clip(crop * factors.astype(np.float32), 0, 255).astype(np.uint8)
