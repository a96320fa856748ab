"""Boxes of persons who were labelled without one."""

from typing import Any

import numpy as np

from rlepose.datasets.options import MissingBoxes

# Of the longer side of the joints' extent, on each side: so much larger are the labelled boxes of livestock and bees in
# the median (0.04 to 0.12).
_MARGIN = 0.1


def lacks_box(annotation: dict[str, Any]) -> bool:
    """Whether there is no box, or one without an inside."""
    box = annotation.get("bbox")
    return not box or (isinstance(box, list) and len(box) == 4 and not any(box))


def made_box(annotation: dict[str, Any], size_wh: tuple[int, int], how: MissingBoxes) -> list[float] | None:
    """x, y, width, height in px for a person without a box; None where `how` or the labels give none.

    size_wh: px of the picture. 'joints': the labelled joints' extent with a tenth of its longer side around it, cut at
    the picture's border. 'picture': the whole picture. 'leave_out': none.
    """
    if how == "leave_out":
        return None
    if how == "picture":
        return [0.0, 0.0, float(size_wh[0]), float(size_wh[1])]
    try:
        joints = np.array(annotation.get("keypoints") or [], float).reshape(-1, 3)
    except (TypeError, ValueError):  # refused where the labels are read
        return None
    labelled = joints[joints[:, 2] > 0, :2]
    if not len(labelled) or not np.isfinite(labelled).all():
        return None
    margin = _MARGIN * np.ptp(labelled, axis=0).max()
    low = np.maximum(labelled.min(axis=0) - margin, 0)
    high = np.minimum(labelled.max(axis=0) + margin, np.array(size_wh) - 1)
    return [*low.tolist(), *(high - low).tolist()]
