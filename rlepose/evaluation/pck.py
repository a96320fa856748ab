"""Percentage of correct keypoints (Yang and Ramanan, PAMI 2013)."""

import numpy as np
from numpy.typing import NDArray

from rlepose.errors import InputError
from rlepose.geometry import Floats
from rlepose.skeleton import Skeleton


def pck(
    keypoints: Floats, truth: Floats, visible: NDArray[np.integer], reference: Floats, threshold: float
) -> float | None:
    """Share of labelled joints whose error is at most `threshold` times the person's reference length.

    keypoints and truth (N, K, 2) px, visible (N, K), reference (N,) px, NaN for a person that has none and is left out
    -> over all joints; None where nothing is labelled.
    """
    error = np.linalg.norm(keypoints - truth, axis=-1)
    counted = (visible > 0) & np.isfinite(reference)[:, None]
    correct = counted & (error <= threshold * np.nan_to_num(reference)[:, None])
    return float(correct.sum() / counted.sum()) if counted.any() else None


def reference_length(
    kind: str, truth: Floats, visible: NDArray[np.integer], bbox_xywh: Floats, skeleton: Skeleton
) -> Floats:
    """The length that PCK is relative to, (N,) px.

    'torso': left shoulder to right hip, NaN where one of them has no label. 'box': the longer side of the box.
    """
    if kind == "box":
        return bbox_xywh[:, 2:].max(axis=1)
    shoulder, hip = torso_joints(skeleton)
    length = np.linalg.norm(truth[:, shoulder] - truth[:, hip], axis=-1)
    return np.where((visible[:, shoulder] > 0) & (visible[:, hip] > 0) & (length > 0), length, np.nan)


def torso_joints(skeleton: Skeleton) -> tuple[int, int]:
    """Indices of left shoulder and right hip; InputError where the data set does not have them."""
    shoulder, hip = skeleton.index("left", "shoulder"), skeleton.index("right", "hip")
    if shoulder is None or hip is None:
        raise InputError(
            "eval.pck_reference: torso needs joints named left_shoulder and right_hip, but there are "
            f"{', '.join(skeleton.names)}; set eval.pck_reference=box"
        )
    return shoulder, hip
