"""Predicted poses as arrays, independent of their source."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlepose.pose.codec import DEPTH_UNIT_MM
from rlepose.pose.geometry import Floats


@dataclass(frozen=True)
class Poses:
    """N poses from a table of crops, a detector, or another project's file.

    keypoints: (N, K, D) px in the picture and, in 3-D, mm behind the root.
    sigma: (N, K, D), the scale of the likelihood in the units of keypoints; None if the loss has none.
    joint_scores: (N, K).
    valid: (N,), False if the picture could not be read; the pose is then no prediction.
    image_ids, category_ids: (N,), ids in the data set.
    box_score: (N,), the detector's score; 1 for a labelled box.
    frame_wh: (N, 2) px in the picture, width and height of the frame that the network saw; for a lifted
        pose, the size of 2000 mm at the root's depth.
    person_ids: (N,), the annotation whose box was used; None if the boxes belong to no annotation.
    unread_images: ids of the pictures that could not be read. Their persons are not missed: nobody looked.
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
    unread_images: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def network_unit(self) -> Floats:
        """(N, 1, D) px, and mm for depth: the size of 1 in mu and sigma."""
        depth = self.keypoints.shape[-1] - 2
        return np.pad(self.frame_wh, ((0, 0), (0, depth)), constant_values=DEPTH_UNIT_MM)[:, None]

    def scale(self) -> Floats:
        """Return sigma, (N, K, D) px, and mm for depth; for a loss without sigma, 1 network unit."""
        if self.sigma is not None:
            return self.sigma
        return np.broadcast_to(self.network_unit, self.keypoints.shape)
