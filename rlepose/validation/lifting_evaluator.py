"""Evaluate lifted poses: as poses from pictures, but with uncertainty in 3-D."""

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.lifting_codec import LIFTED
from rlepose.drawing.overlays import Picture
from rlepose.evaluation.calibration import Compared
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.validation.h36m_evaluator import H36MEvaluator, mm_a_unit


class LiftingEvaluator(H36MEvaluator):
    """Evaluates lifted poses of a Human3.6M file's persons, without their pictures."""

    @property
    def density_joints(self) -> tuple[str, ...]:
        return tuple(self.skeleton.names[joint] for joint in LIFTED)

    def compared(self, poses: Poses, chosen: NDArray[np.bool_]) -> Compared:
        """Compare in 3-D, relative to the root, as the network predicts."""
        labels = self.labels.select(self.rows(poses)[chosen])
        truth, predicted = (points[:, LIFTED] for points in self.relative(poses, chosen))
        mm, error = mm_a_unit(labels), self._errors(poses, chosen)
        return Compared(
            predicted,
            (poses.scale()[chosen] * mm)[:, LIFTED],
            truth,
            visible=np.ones(truth.shape[:2], np.uint8),
            unit=poses.network_unit[chosen] * mm,
            confidence=poses.joint_scores[chosen].mean(axis=1),
            quality=error,
            risk=error,
        )

    def draw(self, pose: int, poses: Poses, std: Floats | None, title: str) -> Picture:
        """Draw columns for label and prediction: from the front, from the side and from above."""
        return self._views(pose, poses, std, ("the front", "the side", "above"), title)
