"""Random augmentation of training crops. All random numbers come from the generator argument."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.options import AugmentConfig
from rlepose.pose.geometry import Floats, box_to_center_scale
from rlepose.pose.skeleton import Skeleton

# As in the authors' code: a half needs this many visible joints, and its crop is the extent of the joints, padded.
_HALF_BODY_IF_MORE_THAN = 3
_HALF_BODY_LEAST_JOINTS = 2
_HALF_BODY_PADDING = 1.5
# An occluder's largest area as a fraction of the person's box, and the limits of its height / width ratio, as in Sun et
# al.'s Integral Human Pose Regression and its successors.
_LARGEST_OCCLUDER = 0.7
_OCCLUDER_RATIO = (0.3, 1 / 0.3)
_OCCLUDER_ATTEMPTS = 100


@dataclass(frozen=True)
class CropChoice:
    """Region of the picture to crop, with rotation and flip."""

    center: Floats
    scale: Floats
    rotation_deg: float = 0.0
    flip: bool = False


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the random generator of one sample in one epoch, the same in every process."""
    return np.random.default_rng((1, seed, epoch, index))


def order_generator(seed: int, epoch: int, attempt: int = 0) -> np.random.Generator:
    """Return the random generator of the order of an epoch's samples, independent of `sample_generator`.

    attempt: number of rewinds of the run; each needs another order.
    """
    return np.random.default_rng((2, seed, epoch, attempt) if attempt else (2, seed, epoch))


def extra_generator(seed: int, number: int, attempt: int = 0) -> np.random.Generator:
    """Return the random generator of the order of the extra persons in pass `number`."""
    return np.random.default_rng((3, seed, number, attempt))


def flip_generator(seed: int, epoch: int) -> np.random.Generator:
    """Return the random generator of an epoch's flips, for a data set that draws them for all samples at once."""
    return np.random.default_rng((4, seed, epoch))


def random_crop(
    rng: np.random.Generator,
    config: AugmentConfig,
    skeleton: Skeleton,
    center: Floats,
    scale: Floats,
    keypoints: Floats,
    visible: NDArray[np.integer],
) -> CropChoice:
    """Draw half body, scale, rotation and flip for one person's crop.

    center, scale: (2,) px, the plain crop. keypoints: (K, 2) px. visible: (K,).
    """
    if rng.random() < config.half_body_prob:
        upper_first = bool(rng.random() < config.upper_body_prob)
        center, scale = half_body(upper_first, skeleton, center, scale, keypoints, visible > 0)
    scale = scale * (1 + _draw(rng, config, config.scale, config.scale))
    rotation = 0.0
    if rng.random() < config.rotation_prob:
        rotation = _draw(rng, config, config.rotation_deg, _largest_rotation_deg(config))
    return CropChoice(center, scale, rotation, bool(rng.random() < config.flip_prob))


def _draw(rng: np.random.Generator, config: AugmentConfig, size: float, largest: float) -> float:
    """Draw a number in ± largest: uniform, or normal with standard deviation `size`, clipped."""
    if config.distribution == "uniform":
        return rng.uniform(-largest, largest)
    return float(np.clip(rng.normal(0, size), -largest, largest))


def _largest_rotation_deg(config: AugmentConfig) -> float:
    return config.rotation_deg * {"uniform": 1, "normal": 2}[config.distribution]


def half_body(
    upper_first: bool,
    skeleton: Skeleton,
    center: Floats,
    scale: Floats,
    keypoints: Floats,
    visible: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Return the region around the visible joints of the upper or lower body, or the unchanged region.

    upper_first: whether the upper half is preferred. A half is used if it has more than 2 visible joints, the preferred
    one first; if neither has, the upper one.
    """
    if skeleton.upper_body is None or visible.sum() <= _HALF_BODY_IF_MORE_THAN:
        return center, scale
    upper = visible & np.array(skeleton.upper_body)
    lower = visible & ~np.array(skeleton.upper_body)
    halves = (upper, lower) if upper_first else (lower, upper)
    chosen = next((half for half in halves if half.sum() > _HALF_BODY_LEAST_JOINTS), upper)
    if chosen.sum() < _HALF_BODY_LEAST_JOINTS:
        return center, scale
    half_center, half_scale, extent = _half_region(keypoints, chosen, float(scale[0] / scale[1]))
    return (center, scale) if extent < 1 else (half_center, half_scale)


def _half_region(
    keypoints: Floats, chosen: NDArray[np.bool_], aspect_ratio: float
) -> tuple[Floats, Floats, NDArray[np.floating]]:
    """Return centre and scale (…, 2) px of the crop around the chosen joints (…, K, 2) px, and their extent (…) px.

    At least one joint of each person must be chosen.
    """
    low = np.where(chosen[..., None], keypoints, np.inf).min(axis=-2)
    high = np.where(chosen[..., None], keypoints, -np.inf).max(axis=-2)
    box = np.concatenate([low, high - low], axis=-1)
    _, scale = box_to_center_scale(box, aspect_ratio, _HALF_BODY_PADDING)
    count = chosen.sum(axis=-1)[..., None].astype(keypoints.dtype)
    center = (keypoints * chosen[..., None]).sum(axis=-2) / count
    return center, scale, (high - low).max(axis=-1)


def reachable_region(
    config: AugmentConfig,
    skeleton: Skeleton,
    center: Floats,
    scale: Floats,
    keypoints: Floats,
    visible: NDArray[np.integer],
) -> Floats:
    """Return the smallest boxes that contain every crop that `random_crop` can draw for N persons.

    center, scale: (N, 2) px, the plain crops. keypoints: (N, K, 2) px. visible: (N, K).
    -> (N, 4): left, top, right, bottom in px of the picture, possibly outside it.
    """
    centers, scales = [center], [scale]
    if config.half_body_prob > 0 and skeleton.upper_body is not None and len(center):
        for half in (np.array(skeleton.upper_body), ~np.array(skeleton.upper_body)):
            chosen = (visible > 0) & half
            rows = chosen.sum(axis=1) >= _HALF_BODY_LEAST_JOINTS
            half_center, half_scale = center.copy(), scale.copy()
            half_center[rows], half_scale[rows], _ = _half_region(
                keypoints[rows], chosen[rows], float(scale[0, 0] / scale[0, 1])
            )
            centers.append(half_center)
            scales.append(half_scale)
    all_centers, all_scales = np.stack(centers), np.stack(scales)
    # The half diagonal of a w × h box rotated by t extends R cos(t − atan(h / w)) sideways: maximal at t = atan(h / w).
    turn = np.deg2rad(_largest_rotation_deg(config) if config.rotation_prob > 0 else 0.0)
    angle = np.arctan2(all_scales[..., ::-1], all_scales)
    radius = np.linalg.norm(all_scales, axis=-1, keepdims=True) / 2
    reach = radius * np.cos(np.maximum(angle - turn, 0)) * (1 + config.scale)
    low, high = (all_centers - reach).min(axis=0), (all_centers + reach).max(axis=0)
    return np.concatenate([low, high], axis=-1)


def random_color(rng: np.random.Generator, config: AugmentConfig, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Multiply each channel of an RGB crop by a random factor in 1 ± config.color, rounded and clipped to 0 … 255."""
    if not config.color:
        return crop
    factors = rng.uniform(1 - config.color, 1 + config.color, size=3)
    return np.asarray(cv2.multiply(crop, (*factors, 0.0)), np.uint8)  # rounds and clips


def random_occluder(
    rng: np.random.Generator, config: AugmentConfig, bbox_xywh: Floats, image_size_wh: NDArray[np.integer]
) -> NDArray[np.int64] | None:
    """Draw a rectangle of the picture, inside the person's box, to cover with noise, or None.

    bbox_xywh: (4,) px. image_size_wh: (2,) px. -> x1, y1, x2, y2 px: columns x1 … x2 − 1, rows y1 … y2 − 1. A rectangle
    wider or higher than the box extends beyond it. Rectangles that do not fit into the picture are redrawn.
    """
    if not config.occlusion_prob or rng.random() >= config.occlusion_prob:
        return None
    corner, size = np.split(np.asarray(bbox_xywh, float), 2)
    for _ in range(_OCCLUDER_ATTEMPTS):
        area = rng.uniform(0, _LARGEST_OCCLUDER) * size.prod()
        ratio = rng.uniform(*_OCCLUDER_RATIO)
        occluder_wh = np.sqrt([area / ratio, area * ratio])
        low = corner + rng.random(2) * (size - occluder_wh - 1)
        if (low >= 0).all() and (low + occluder_wh < image_size_wh).all():
            return np.concatenate([low.astype(int), low.astype(int) + occluder_wh.astype(int)])
    return None
