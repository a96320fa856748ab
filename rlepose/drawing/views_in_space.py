"""Draw 3-D poses from the side and from above."""

import numpy as np

from rlepose.drawing.overlays import Picture, draw_label, draw_pose
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton

_BACKGROUND = 40  # grey
_MARGIN = 0.12  # fraction of a tile's side, on each edge
# For each view, the axes of the camera's frame (x right, y down, z away) that point right and down, with signs. From
# the side, the camera is on the left; from above, it is at the bottom.
VIEWS = {"the side": ((2, 1), (1, 1)), "above": ((0, 2), (1, -1))}


def side_and_top(truth: Floats, predicted: Floats, std: Floats | None, skeleton: Skeleton, side: int) -> Picture:
    """Draw four square tiles in a row: truth and prediction from the side, then both from above, at one scale.

    truth, predicted, std: see `joints` and `std` in `view_tile` -> RGB (side, 4 side, 3).
    """
    pixels_a_mm = scale_for(np.concatenate([truth, predicted]), side)
    tiles = [
        view_tile(joints, spread, skeleton, view, f"{who}, from {view}", side, pixels_a_mm)
        for view in VIEWS
        for who, joints, spread in (("truth", truth, None), ("predicted", predicted, std))
    ]
    return np.concatenate(tiles, axis=1)


def scale_for(joints: Floats, side: int) -> float:
    """Return the pixels per mm at which joints (J, 3) mm fill a tile."""
    return side * (0.5 - _MARGIN) / max(float(np.abs(joints).max()), 1.0)


def view_tile(
    joints: Floats, std: Floats | None, skeleton: Skeleton, view: str, title: str, side: int, pixels_a_mm: float
) -> Picture:
    """Draw one pose from one of VIEWS.

    joints (J, 3) mm in the camera's frame relative to the root, the skeleton's first J; std (J, 3) mm, standard
    deviation, drawn as ellipses -> RGB (side, side, 3).
    """
    axes, signs = VIEWS[view]
    canvas = np.full((side, side, 3), _BACKGROUND, np.uint8)
    points, ellipses = np.zeros((len(skeleton), 2)), None
    points[: len(joints)] = joints[:, axes] * signs * pixels_a_mm + side / 2
    if std is not None:
        ellipses = np.zeros_like(points)
        ellipses[: len(joints)] = std[:, axes] * pixels_a_mm
    tile = draw_pose(canvas, points, skeleton, ellipses, (np.arange(len(skeleton)) < len(joints)).astype(int))
    draw_label(tile, title, (0, 0))
    return tile
