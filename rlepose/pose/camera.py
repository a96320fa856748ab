"""Transform points between world coordinates, a pinhole camera's frame and its picture.

Camera frame: x right, y down, z away from the camera, in mm. Pixel centres are at integers, as in geometry.py.
All functions take and return NumPy arrays with any number of leading dimensions, one camera each.
"""

import numpy as np
from numpy.typing import ArrayLike

from rlepose.pose.geometry import Floats


def world_to_camera(world: ArrayLike, rotation: ArrayLike, position: ArrayLike) -> Floats:
    """Return R (x − t): points (…, K, 3) mm in the world, R (…, 3, 3), camera position t (…, 3) mm -> (…, K, 3) mm."""
    offset = np.asarray(world, float) - np.asarray(position, float)[..., None, :]
    return np.einsum("...ij,...kj->...ki", np.asarray(rotation, float), offset)


def project(points: ArrayLike, focal: ArrayLike, principal: ArrayLike) -> Floats:
    """Project points of the camera frame into the picture.

    Args:
        points: (…, K, 3) mm in the camera frame, with z > 0.
        focal: (…, 2) px, focal lengths in x and y.
        principal: (…, 2) px, the principal point.

    Returns:
        (…, K, 2) px.

    Example:
        >>> project([[0.0, 100.0, 2000.0]], focal=[1000.0, 1000.0], principal=[512.0, 512.0])
        array([[512., 562.]])
    """
    points = np.asarray(points, float)
    on_plane = points[..., :2] / points[..., 2:]
    return on_plane * np.asarray(focal, float)[..., None, :] + np.asarray(principal, float)[..., None, :]


def back_project(pixels: ArrayLike, depth: ArrayLike, focal: ArrayLike, principal: ArrayLike) -> Floats:
    """Return the points at pixels (…, K, 2) and depth z (…, K) mm, in the camera frame: (…, K, 3) mm."""
    depth = np.asarray(depth, float)[..., None]
    from_centre = np.asarray(pixels, float) - np.asarray(principal, float)[..., None, :]
    return np.concatenate([from_centre / np.asarray(focal, float)[..., None, :] * depth, depth], axis=-1)
