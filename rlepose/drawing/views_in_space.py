"""Draw 3-D poses from the front, from the side and from above."""

from collections.abc import Sequence

import numpy as np

from rlepose.drawing.overlays import Picture, draw_label, draw_pose
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton

_BACKGROUND = 40  # grey
_MARGIN = 0.12  # fraction of a tile's side, on each edge
# For each view, the axes of the camera's frame (x right, y down, z away) that point right and down, with signs. The
# front is the camera's view. From the side, the camera is on the left; from above, it is at the bottom.
VIEWS = {"the front": ((0, 1), (1, 1)), "the side": ((2, 1), (1, 1)), "above": ((0, 2), (1, -1))}


def truth_and_prediction_in_space(
    truth: Floats,
    predicted: Floats,
    std: Floats | None,
    skeleton: Skeleton,
    views: Sequence[str],
    title: str | None = None,
    side: int = 240,
) -> Picture:
    """Draw square tiles at one scale, one row per view: the truth, and the prediction with its ellipses.

    truth, predicted, std: see `joints` and `std` in `view_tile`. views: names in VIEWS. title: title of the first
    prediction, instead of the view -> RGB (views × side, 2 side, 3).
    """
    pixels_a_mm = scale_for(np.concatenate([truth, predicted]), side)
    rows = []
    for number, view in enumerate(views):
        left = view_tile(truth, None, skeleton, view, f"truth, from {view}", side, pixels_a_mm)
        name = title if title is not None and number == 0 else f"predicted, from {view}"
        right = view_tile(predicted, std, skeleton, view, name, side, pixels_a_mm)
        rows.append(np.concatenate([left, right], axis=1))
    return np.concatenate(rows)


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
