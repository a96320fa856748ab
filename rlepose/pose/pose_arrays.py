"""Predicted poses as arrays, whoever predicted them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlepose.pose.codec import DEPTH_UNIT_MM
from rlepose.pose.geometry import Floats


@dataclass(frozen=True)
class Poses:
    """N poses, from a table of crops, a detector, or another project's file.

    keypoints: (N, K, D) px in the picture, and mm behind the root in 3-D.
    sigma: (N, K, D), in the same units, the scale of the likelihood; None without one.
    joint_scores: (N, K).
    valid: (N,), False where the picture could not be read; such a pose is no prediction.
    image_ids, category_ids: (N,), the data set's.
    box_score: (N,), of whoever found the person; 1 in a labelled box.
    frame_wh: (N, 2) px in the picture, width and height of what the network saw of it; of a lifted pose, what 2000 mm
        are at the root's depth.
    person_ids: (N,), the annotation in whose box each pose was predicted; None where boxes belong to no annotation.
    """

    keypoints: Floats
    sigma: Floats | None
    joint_scores: Floats
    valid: NDArray[np.bool_]
    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    box_score: Floats
    frame_wh: Floats
    person_ids: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def network_unit(self) -> Floats:
        """(N, 1, D) px, and mm: what 1 is in mu and sigma."""
        depth = self.keypoints.shape[-1] - 2
        return np.pad(self.frame_wh, ((0, 0), (0, depth)), constant_values=DEPTH_UNIT_MM)[:, None]

    def scale(self) -> Floats:
        """(N, K, D) px, and mm: sigma or, for a loss without one, its constant density's, 1 network unit."""
        if self.sigma is not None:
            return self.sigma
        return np.broadcast_to(self.network_unit, self.keypoints.shape)
