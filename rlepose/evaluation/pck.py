"""Percentage of correct keypoints (Yang and Ramanan, PAMI 2013)."""

import numpy as np
from numpy.typing import NDArray

from rlepose.errors import InputError
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton

# Reported thresholds, in reference lengths; PCKh is PCK@0.5 relative to the head.
PCK_THRESHOLDS = {"box": (0.1, 0.2), "torso": (0.1, 0.2), "head": (0.1, 0.5)}
# Names of the two joints; alternatives in a tuple.
_REFERENCE_JOINTS = {
    "torso": (("left_shoulder",), ("right_hip",)),
    "head": (("neck", "upper_neck"), ("head", "head_top")),
}


def pck(
    keypoints: Floats, truth: Floats, visible: NDArray[np.integer], reference: Floats, threshold: float
) -> float | None:
    """Return the fraction of labelled joints whose error is at most `threshold` times the person's reference length.

    keypoints, truth: (N, K, 2) px. visible: (N, K). reference: (N,) px, NaN for a person to skip. -> over all joints;
    None without labels.
    """
    error = np.linalg.norm(keypoints - truth, axis=-1)
    counted = (visible > 0) & np.isfinite(reference)[:, None]
    correct = counted & (error <= threshold * np.nan_to_num(reference)[:, None])
    return float(correct.sum() / counted.sum()) if counted.any() else None


def reference_length(
    name: str, truth: Floats, visible: NDArray[np.integer], bbox_xywh: Floats, skeleton: Skeleton
) -> Floats:
    """Return the reference length of PCK with this name, (N,) px.

    'torso': left shoulder to right hip; 'head': neck to head top; NaN if one of the joints has no label.
    'box': the longer side of the box. MPII's own evaluation uses 0.6 of the diagonal of a rectangle around the head,
    which COCO-like files lack: its numbers differ from those with 'head'.
    """
    joints = reference_joints(name, skeleton)
    if joints is None:
        return bbox_xywh[:, 2:].max(axis=1)
    i, j = joints
    length = np.linalg.norm(truth[:, i] - truth[:, j], axis=-1)
    return np.where((visible[:, i] > 0) & (visible[:, j] > 0) & (length > 0), length, np.nan)


def reference_joints(name: str, skeleton: Skeleton) -> tuple[int, int] | None:
    """Return the two joints of a reference length, None for 'box'; InputError if the skeleton lacks them."""
    if name == "box":
        return None
    ends = _REFERENCE_JOINTS[name]
    found = [next((i for name in names if (i := skeleton.find(name)) is not None), None) for names in ends]
    if found[0] is None or found[1] is None:
        raise InputError(
            f"eval.pck_reference: {name} needs joints {' and '.join(names[0] for names in ends)}; the joints are "
            f"{', '.join(skeleton.names)}; set eval.pck_reference=box"
        )
    return found[0], found[1]
