"""Boxes, crops, and the affine matrices between a picture and a crop.

Pixel convention of the whole project: the centre of the top left pixel is (0, 0), as in OpenCV. A crop of width W
therefore has its pixel centres at 0 … W − 1, and mirroring maps x to W − 1 − x.
All functions take and return NumPy arrays with any number of leading dimensions.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]


def clip_boxes(bbox_xywh: ArrayLike, image_size_wh: ArrayLike) -> Floats:
    """Clip boxes at the border of the picture.

    A box of w pixels covers the pixel centres x … x + w − 1, so its far edge loses one pixel, as in the authors' code.

    Args:
        bbox_xywh: (…, 4) px.
        image_size_wh: (…, 2) px.

    Returns:
        (…, 4) px; width or height is 0 for a box outside the picture.
    """
    bbox_xywh, last = np.asarray(bbox_xywh, float), np.asarray(image_size_wh, float) - 1
    low = np.clip(bbox_xywh[..., :2], 0, last)
    high = np.clip(bbox_xywh[..., :2] + np.maximum(bbox_xywh[..., 2:] - 1, 0), 0, last)
    return np.concatenate([low, np.maximum(high - low, 0)], axis=-1)


def box_to_center_scale(bbox_xywh: ArrayLike, aspect_ratio: float, padding: ArrayLike) -> tuple[Floats, Floats]:
    """Return the region to crop around a box: same centre, extended to the aspect ratio of the crop, then padded.

    Args:
        bbox_xywh: (…, 4) px.
        aspect_ratio: width / height of the crop.
        padding: () or (…), factor on width and height.

    Returns:
        center (…, 2) px, and scale (…, 2) = width and height in px.
    """
    bbox_xywh = np.asarray(bbox_xywh, float)
    width, height = bbox_xywh[..., 2], bbox_xywh[..., 3]
    center = bbox_xywh[..., :2] + bbox_xywh[..., 2:] / 2
    scale = np.stack([np.maximum(width, height * aspect_ratio), np.maximum(height, width / aspect_ratio)], axis=-1)
    return center, scale * np.asarray(padding)[..., None]


def crop_matrix(
    center: ArrayLike,
    scale: ArrayLike,
    crop_size_hw: tuple[int, int],
    rotation_deg: ArrayLike = 0.0,
    flip: ArrayLike = False,
) -> Floats:
    """Return the matrix that maps picture pixels to crop pixels.

    `center` goes to the centre of the crop, and the width of `scale` fills the width of the crop.

    Args:
        center: (…, 2) px in the picture.
        scale: (…, 2) px in the picture, width and height.
        crop_size_hw: height and width of the crop in crop pixels.
        rotation_deg: (…), counter-clockwise on the screen.
        flip: (…), whether to mirror the crop after rotating it.

    Returns:
        (…, 2, 3).
    """
    center, scale, flip = np.asarray(center, float), np.asarray(scale, float), np.asarray(flip, bool)
    height, width = crop_size_hw
    angle = np.deg2rad(rotation_deg)
    factor = width / scale[..., 0]
    cos, sin = factor * np.cos(angle), factor * np.sin(angle)
    x, y = center[..., 0], center[..., 1]
    mirror = np.where(flip, -1, 1)
    matrix = np.empty((*np.broadcast_shapes(cos.shape, x.shape, flip.shape), 2, 3))
    matrix[..., 0, 0] = mirror * cos
    matrix[..., 0, 1] = mirror * sin
    matrix[..., 0, 2] = mirror * (width / 2 - (cos * x + sin * y)) + np.where(flip, width - 1, 0)
    matrix[..., 1, 0] = -sin
    matrix[..., 1, 1] = cos
    matrix[..., 1, 2] = height / 2 - (cos * y - sin * x)
    return matrix


def invert_affine(matrix: ArrayLike) -> Floats:
    """Return the inverse affine maps: (…, 2, 3) -> (…, 2, 3)."""
    matrix = np.asarray(matrix, float)
    linear = np.linalg.inv(matrix[..., :2])
    offset = -np.einsum("...ij,...j->...i", linear, matrix[..., 2])
    return np.concatenate([linear, offset[..., None]], axis=-1)


def transform_points(matrix: ArrayLike, points: ArrayLike) -> Floats:
    """Apply affine maps to points: matrix (…, 2, 3), points (…, K, 2) px -> (…, K, 2) px."""
    matrix, points = np.asarray(matrix, float), np.asarray(points, float)
    return np.einsum("...ij,...kj->...ki", matrix[..., :2], points) + matrix[..., None, :, 2]
