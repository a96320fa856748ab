"""Between the world, a pinhole camera's frame and its picture.

Camera frame: x right, y down, z away from the camera, in mm. Pixel centres are at integers, as in geometry.py.
All functions take and give NumPy arrays with any number of leading dimensions, one camera each.
"""

import numpy as np
from numpy.typing import ArrayLike

from rlepose.pose.geometry import Floats


def world_to_camera(world: ArrayLike, rotation: ArrayLike, position: ArrayLike) -> Floats:
    """R (x − t): points (…, K, 3) mm in the world, R (…, 3, 3), the camera's place t (…, 3) mm -> (…, K, 3) mm."""
    offset = np.asarray(world, float) - np.asarray(position, float)[..., None, :]
    return np.einsum("...ij,...kj->...ki", np.asarray(rotation, float), offset)


def project(points: ArrayLike, focal: ArrayLike, principal: ArrayLike) -> Floats:
    """Where points of the camera frame lie in the picture.

    points (…, K, 3) mm with z > 0; focal and principal (…, 2), focal lengths and principal point in px -> (…, K, 2) px.
    """
    points = np.asarray(points, float)
    on_plane = points[..., :2] / points[..., 2:]
    return on_plane * np.asarray(focal, float)[..., None, :] + np.asarray(principal, float)[..., None, :]


def back_project(pixels: ArrayLike, depth: ArrayLike, focal: ArrayLike, principal: ArrayLike) -> Floats:
    """The points of the camera frame at pixels (…, K, 2) and depth z (…, K) mm -> (…, K, 3) mm."""
    depth = np.asarray(depth, float)[..., None]
    from_centre = np.asarray(pixels, float) - np.asarray(principal, float)[..., None, :]
    return np.concatenate([from_centre / np.asarray(focal, float)[..., None, :] * depth, depth], axis=-1)
