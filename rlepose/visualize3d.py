"""Pictures of poses in space: seen from the side and from above."""

import numpy as np

from rlepose.geometry import Floats
from rlepose.skeleton import Skeleton
from rlepose.visualize import Picture, draw_label, draw_pose

_BACKGROUND = 40  # grey
_MARGIN = 0.12  # of a tile's side, left free on each edge
# Axes of the camera's frame (x right, y down, z away) that go to the right and down. From the side the camera is to the
# left; from above it is at the bottom.
_VIEWS = {"from the side": ((2, 1), (1, 1)), "from above": ((0, 2), (1, -1))}


def side_and_top(truth: Floats, predicted: Floats, sigma: Floats | None, skeleton: Skeleton, side: int) -> Picture:
    """Four square tiles in a row: truth and prediction from the side, then both from above, at one scale.

    truth, predicted (J, 3) mm in the camera's frame relative to the root, for the skeleton's first J joints; sigma
    (J, 3) mm, one standard deviation, drawn as ellipses -> RGB (side, 4 side, 3).
    """
    reach = max(float(np.abs(np.concatenate([truth, predicted])).max()), 1.0)
    pixels_a_mm = side * (0.5 - _MARGIN) / reach
    tiles = []
    for title, (axes, signs) in _VIEWS.items():
        for who, joints, spread in (("truth", truth, None), ("predicted", predicted, sigma)):
            canvas = np.full((side, side, 3), _BACKGROUND, np.uint8)
            points = np.zeros((len(skeleton), 2))
            points[: len(joints)] = joints[:, axes] * signs * pixels_a_mm + side / 2
            ellipses = None
            if spread is not None:
                ellipses = np.zeros_like(points)
                ellipses[: len(joints)] = spread[:, axes] * pixels_a_mm
            shown = (np.arange(len(skeleton)) < len(joints)).astype(int)
            tile = draw_pose(canvas, points, skeleton, ellipses, shown)
            draw_label(tile, f"{who}, {title}", (0, 0))
            tiles.append(tile)
    return np.concatenate(tiles, axis=1)
