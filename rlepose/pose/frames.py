"""Frames: affine maps from the picture to the unit square, in which a network sees a person and predicts the pose.

A person's crop is a frame. So is a region of interest, the box around a dense location, or the crop of a decoder.
Positions in a frame are in frame widths and heights minus 0.5: the frame spans ±0.5 in both directions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rlepose.pose.geometry import Floats, crop_matrix, invert_affine, transform_points


@dataclass(frozen=True)
class Frames:
    """One frame, or an array of frames that share one size.

    matrix: (…, 2, 3), from picture pixels to frame pixels.
    size_wh: (2,), width and height of a frame in frame pixels; (1, 1) for frames without pixels.

    Example:
        >>> frame = Frames.of_boxes([10.0, 20.0, 30.0, 60.0])
        >>> frame.from_picture([[20.0, 40.0], [30.0, 60.0]])
        array([[0. , 0. ],
               [0.5, 0.5]])
        >>> frame.to_picture([[0.0, 0.25]])
        array([[20., 50.]])
        >>> frame.lengths_to_picture([[0.1, 0.1]])
        array([[2., 4.]])
    """

    matrix: Floats
    size_wh: Floats

    @classmethod
    def of_crops(
        cls,
        center: ArrayLike,
        scale: ArrayLike,
        crop_size_hw: tuple[int, int],
        rotation_deg: ArrayLike = 0.0,
        flip: ArrayLike = False,
    ) -> "Frames":
        """Return the frames of crops.

        Args:
            center: (…, 2) px in the picture, the centre of each crop.
            scale: (…, 2) px in the picture, width and height of each crop.
            crop_size_hw: height and width of the crops in crop pixels.
            rotation_deg: (…), counter-clockwise on the screen.
            flip: (…), whether to mirror the crop after rotating it.
        """
        size_wh = np.array([crop_size_hw[1], crop_size_hw[0]], float)
        return cls(crop_matrix(center, scale, crop_size_hw, rotation_deg, flip), size_wh)

    @classmethod
    def of_boxes(cls, bbox_xyxy: ArrayLike) -> "Frames":
        """Return the frames that boxes span. bbox_xyxy: (…, 4) px, left, top, right, bottom."""
        bbox_xyxy = np.asarray(bbox_xyxy, float)
        low, lengths = bbox_xyxy[..., :2], bbox_xyxy[..., 2:] - bbox_xyxy[..., :2]
        matrix = np.zeros((*bbox_xyxy.shape[:-1], 2, 3))
        matrix[..., [0, 1], [0, 1]] = 1 / lengths
        matrix[..., 2] = -low / lengths
        return cls(matrix, np.ones(2))

    def __getitem__(self, rows: Any) -> "Frames":
        """Select frames of an array; rows is any index of the leading dimensions."""
        return Frames(self.matrix[rows], self.size_wh)

    def __len__(self) -> int:
        return len(self.matrix)

    def from_picture(self, points: ArrayLike) -> Floats:
        """Map points (…, K, 2) px in the picture to points (…, K, 2) in the frame."""
        return transform_points(self.matrix, points) / self.size_wh - 0.5

    def to_picture(self, points: ArrayLike) -> Floats:
        """Map points (…, K, 2) in the frame to points (…, K, 2) px in the picture."""
        return transform_points(invert_affine(self.matrix), (np.asarray(points, float) + 0.5) * self.size_wh)

    def lengths_to_picture(self, lengths: ArrayLike) -> Floats:
        """Convert lengths (…, K, 2) along the frame's axes to lengths (…, K, 2) px along the picture's axes.

        Only defined for frames without rotation, whose axes are parallel to the picture's.
        """
        px_per_frame_px = 1 / np.abs(np.diagonal(self.matrix[..., :2], axis1=-2, axis2=-1))
        return np.asarray(lengths, float) * self.size_wh * px_per_frame_px[..., None, :]
