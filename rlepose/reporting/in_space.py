"""Measurements of a 3-D experiment for a report: errors in mm, of pictures or of lifted poses."""

from dataclasses import dataclass

import numpy as np

from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.evaluation.calibration import Compared
from rlepose.evaluation.mpjpe import PCK3D_THRESHOLD_MM, joint_errors, procrustes_align
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.reporting.gallery import best, by_confidence, galleries
from rlepose.reporting.measured import Measured
from rlepose.validation.h36m_evaluator import H36MEvaluator


@dataclass(frozen=True)
class MeasuredInSpace(Measured):
    """An experiment in 3-D.

    judged (J,): names of the evaluated joints. errors, aligned_errors, depth_errors (N, J) mm: distance of each joint
    from its label, relative to the root; the same after Procrustes alignment; and the error along the optical axis.
    """

    judged: tuple[str, ...]
    errors: Floats
    aligned_errors: Floats
    depth_errors: Floats

    @property
    def curves(self) -> dict[str, str]:
        return {"MPJPE, mm": "MPJPE", "PA_MPJPE, mm": "PA_MPJPE"}


def measured_in_space(
    common: Measured, evaluator: H36MEvaluator, poses: Poses, compared: Compared, spread: Floats, pictures: int
) -> MeasuredInSpace:
    """Add the measurements of 3-D poses to those that all tasks have in common.

    compared: the valid poses. spread: (K, 3), standard deviations in units of sigma. pictures: persons in each gallery.
    """
    truth, predicted = evaluator.relative(poses, poses.valid)
    chosen = {"Lowest error": best(compared.risk, pictures), "Highest error": best(-compared.risk, pictures)}
    chosen |= by_confidence(compared, compared.risk > PCK3D_THRESHOLD_MM, pictures)

    def title_of(person: int) -> str:
        return f"{compared.quality[person]:.0f} mm off"

    nobody = f"No pose has a mean error above {PCK3D_THRESHOLD_MM:g} mm."
    sheets = galleries(evaluator, poses, spread, compared, chosen, title_of, nobody)
    return MeasuredInSpace(
        **vars(common) | {"galleries": sheets},
        judged=tuple(evaluator.skeleton.names[joint] for joint in METRIC_JOINTS),
        errors=joint_errors(predicted, truth),
        aligned_errors=joint_errors(procrustes_align(predicted, truth), truth),
        depth_errors=np.abs(predicted - truth)[..., 2],
    )
