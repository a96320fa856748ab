"""Notice boxes that are not x, y, width, height."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.pose.geometry import Floats

_RIGHT = 0.75  # share of boxes, read as COCO's, from which on these are accepted
_CERTAIN = 0.95  # share of boxes that another reading has to explain
_TOLERANCE = 0.02  # of the picture's width or height, and one pixel: annotators draw beyond the border
_AROUND = 0.1  # of the box's longer side: joints may lie so far outside

# Other readings of a bbox, and how to write COCO's.
_MENDS = {
    "x1, y1, x2, y2": "[x1, y1, x2 - x1, y2 - y1]",
    "centre x, centre y, width, height": "[x - width / 2, y - height / 2, width, height]",
    "x, y, width, height relative to the picture": "pixels: multiply x and width by the picture's width, y and height "
    "by its height",
    "centre x, centre y, width, height relative to the picture": "pixels, from the corner instead of the centre",
}


class _Boxes(NamedTuple):
    """bbox (N, 4) as in the file. size (N, 2) px of the pictures. low, high (N, 2): extent of the labelled joints, px.
    area (N,) px² as in the file, NaN where there is none.
    """

    bbox: Floats
    size: Floats
    low: Floats
    high: Floats
    area: Floats


def other_layout(coco: CocoFile) -> str | None:
    """Return a sentence on how the boxes are written, if hardly as x, y, width, height; else None."""
    boxes = _boxes(coco)
    if not len(boxes.bbox):
        return None
    as_coco = _fits(boxes, boxes.bbox)
    readings = _readings(boxes)
    shares = {name: float(_fits(boxes, bbox).mean()) for name, bbox in readings.items()}
    best = max(shares, key=lambda name: shares[name])
    total = len(boxes.bbox)
    if as_coco.mean() < _RIGHT and shares[best] >= _CERTAIN:
        why = f"read so, {total - as_coco.sum()} of {total} leave their picture or their joints"
    elif shares[corners := "x1, y1, x2, y2"] >= _CERTAIN and _areas_are_of(boxes, readings[corners]):
        best, why = corners, "read so, their areas are not those in the file"
    else:
        return None
    return (
        f"bbox: the boxes are not x, y, width, height: {why}; read as {best}, {shares[best]:.0%} fit; write "
        f"{_MENDS[best]}"
    )


def _boxes(coco: CocoFile) -> _Boxes:
    """The boxes of persons with labelled joints; annotations that reading refuses are passed over."""
    rows = []
    for annotation in coco.annotations:
        joints = annotation.get("keypoints")
        size = coco.size_wh[coco.row_of_image[annotation["image_id"]]]
        if annotation.get("iscrowd") or not annotation.get("bbox") or not isinstance(joints, list) or not size.all():
            continue
        try:
            points = np.array(joints, float).reshape(-1, 3)
        except (TypeError, ValueError, OverflowError):
            continue
        points = points[points[:, 2] > 0, :2]
        if len(points) and np.isfinite(points).all():
            area = annotation.get("area") or np.nan
            rows.append([*annotation["bbox"], *size, *points.min(axis=0), *points.max(axis=0), area])
    values = np.array(rows, float).reshape(-1, 11)
    return _Boxes(values[:, :4], values[:, 4:6], values[:, 6:8], values[:, 8:10], values[:, 10])


def _readings(boxes: _Boxes) -> dict[str, Floats]:
    """The boxes as x, y, width, height in px (N, 4), by what else they may be in the file."""
    first, second, scale = boxes.bbox[:, :2], boxes.bbox[:, 2:], boxes.size
    readings = [
        (first, second - first),
        (first - second / 2, second),
        (first * scale, second * scale),
        ((first - second / 2) * scale, second * scale),
    ]
    return {name: np.hstack(reading) for name, reading in zip(_MENDS, readings, strict=True)}


def _fits(boxes: _Boxes, xywh: Floats) -> NDArray[np.bool_]:
    """Return (N,) whether each box has an inside, lies in its picture, and holds its joints."""
    low, high = xywh[:, :2], xywh[:, :2] + xywh[:, 2:]
    border = 1 + _TOLERANCE * boxes.size
    around = np.maximum(_AROUND * xywh[:, 2:].max(axis=1, keepdims=True), 1)
    fit = (high > low) & (low >= -border) & (high <= boxes.size + border)
    fit &= (boxes.low >= low - around) & (boxes.high <= high + around)
    return np.asarray(fit.all(axis=1))


def _areas_are_of(boxes: _Boxes, xywh: Floats) -> bool:
    """Whether nearly all areas in the file are the areas of these boxes, but not of the boxes as COCO writes them."""
    here, as_coco = (
        np.isclose(sides.prod(axis=1), boxes.area, rtol=0.01).mean() for sides in (xywh[:, 2:], boxes.bbox[:, 2:])
    )
    return bool(here >= _CERTAIN and as_coco < 1 - _CERTAIN)
