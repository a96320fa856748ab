"""Errors of 3-D poses in mm: MPJPE, PA-MPJPE, PCK3D and its area.

MPJPE     mean distance of the joints, with both skeletons moved to their root
PA_MPJPE  the same after Procrustes alignment with scale: PA-MPJPE in the literature and in the RLE authors' evaluation
PCK3D     fraction of joints within 150 mm (Mehta et al., 3DV 2017)
AUC       mean of that fraction over the thresholds 0, 5, …, 150 mm
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from rlepose.pose.geometry import Floats

METRICS = ("MPJPE", "PA_MPJPE", "PCK3D", "AUC")
PCK3D_THRESHOLD_MM = 150.0
AUC_THRESHOLDS_MM = np.arange(0.0, 151.0, 5.0)
# Skeletons whose joints scatter less than this have no size or orientation to align.
_NO_EXTENT_MM = 1e-6


def joint_errors(prediction: ArrayLike, truth: ArrayLike) -> Floats:
    """Return the distance of each joint: (…, K, 3), (…, K, 3) mm -> (…, K) mm."""
    return np.linalg.norm(np.asarray(prediction, float) - np.asarray(truth, float), axis=-1)


def relative_to_root(points: ArrayLike, root: int) -> Floats:
    """Move skeletons (…, K, 3) so that joint `root` is at the origin."""
    points = np.asarray(points, float)
    return points - points[..., root : root + 1, :]


def procrustes_align(prediction: ArrayLike, truth: ArrayLike) -> Floats:
    """Rotate, move and scale each prediction to have the smallest squared distance to its truth.

    prediction, truth: (N, K, 3) mm -> (N, K, 3) mm. Predictions are never mirrored. If all joints of a prediction or
    of its truth coincide, the result is the centre of the truth.
    Umeyama, PAMI 1991, equations 39 to 42.
    """
    prediction, truth = np.asarray(prediction, float), np.asarray(truth, float)
    centre = truth.mean(axis=1, keepdims=True)
    moving, fixed = prediction - prediction.mean(axis=1, keepdims=True), truth - centre
    left, singular, right = np.linalg.svd(fixed.transpose(0, 2, 1) @ moving)
    # A determinant of −1 would be a reflection: flip the direction for which this increases the error least.
    sign = np.ones_like(singular)
    sign[:, 2] = np.where(np.linalg.det(left) * np.linalg.det(right) < 0, -1.0, 1.0)
    rotation = (left * sign[:, None, :]) @ right
    extent = np.square(moving).sum(axis=(1, 2))
    point = extent <= _NO_EXTENT_MM**2
    factor = np.where(point, 0.0, (singular * sign).sum(axis=1) / np.where(point, 1.0, extent))
    return factor[:, None, None] * (moving @ rotation.transpose(0, 2, 1)) + centre


def pose_errors(prediction: ArrayLike, truth: ArrayLike, root: int, joints: Sequence[int]) -> dict[str, float | None]:
    """Return each of METRICS over all joints of all skeletons, None if there are no skeletons.

    prediction, truth: (N, K, 3) mm, compared relative to joint `root`. joints: indices of the joints that count.
    """
    chosen = list(joints)
    predicted, true = (relative_to_root(points, root)[:, chosen] for points in (prediction, truth))
    if not len(true):
        return dict.fromkeys(METRICS)
    errors = joint_errors(predicted, true)
    within = np.searchsorted(np.sort(errors, axis=None), AUC_THRESHOLDS_MM, side="right") / errors.size
    values = (
        errors.mean(),
        joint_errors(procrustes_align(predicted, true), true).mean(),
        (errors <= PCK3D_THRESHOLD_MM).mean(),
        within.mean(),
    )
    return {name: float(value) for name, value in zip(METRICS, values, strict=True)}


def errors_by_action(
    prediction: ArrayLike, truth: ArrayLike, actions: ArrayLike, root: int, joints: Sequence[int]
) -> dict[str, dict[str, float | None]]:
    """Return `pose_errors` of each action's skeletons, in alphabetical order, and of 'all'.

    actions: (N,) names. 'all' gives each skeleton the same weight, so frequent actions count more.
    """
    prediction, truth, actions = np.asarray(prediction, float), np.asarray(truth, float), np.asarray(actions)
    report = {
        str(action): pose_errors(prediction[actions == action], truth[actions == action], root, joints)
        for action in np.unique(actions)
    }
    return report | {"all": pose_errors(prediction, truth, root, joints)}


def error_table(report: Mapping[str, Mapping[str, float | None]]) -> str:
    """Format a report of `errors_by_action`, one row per action: mm with one decimal, fractions with three."""
    width = max(len(action) for action in report)
    lines = [" ".join([" " * width, *(f"{name:>{max(len(name), 6)}}" for name in METRICS)])]
    for action, row in report.items():
        cells = []
        for name in METRICS:
            value, decimals = row[name], 1 if "MPJPE" in name else 3
            text = "-" if value is None else f"{value:.{decimals}f}"
            cells.append(f"{text:>{max(len(name), 6)}}")
        lines.append(" ".join([f"{action:<{width}}", *cells]))
    return "\n".join(lines)
