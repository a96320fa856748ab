"""Draw poses into pictures: skeletons and ellipses of one standard deviation."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.images import warp_crop
from rlepose.errors import InputError
from rlepose.pose.geometry import Floats, box_to_center_scale, crop_matrix, transform_points
from rlepose.pose.skeleton import Skeleton

Picture = NDArray[np.uint8]

_SMALL = 80  # px, size of a person below which lines are thinner
_LARGE = 1000  # px, size of a picture above which labels grow
_MARGIN = 10_000  # px, maximum distance of drawn joints from the picture; OpenCV's coordinates are limited

# RGB; the person's left and right differ, so that swapped sides are visible.
_LEFT, _RIGHT, _MIDDLE = (255, 140, 40), (70, 170, 255), (120, 230, 120)
_TEXT = (255, 255, 255)


def draw_pose(
    image: Picture,
    keypoints: Floats,
    skeleton: Skeleton,
    std: Floats | None = None,
    visible: NDArray[Any] | None = None,
) -> Picture:
    """Return a copy of the RGB picture with bones, joints and, if given, an ellipse with half axes std at each joint.

    keypoints (K, 2) px, std (K, 2) px, visible (K,): joints with 0 are not drawn.
    """
    canvas = image.copy()
    shown = np.ones(len(skeleton), bool) if visible is None else np.asarray(visible) > 0
    height, width = image.shape[:2]
    keypoints = np.clip(keypoints, -_MARGIN, np.array([width, height]) + _MARGIN)
    extent = np.ptp(keypoints[shown], axis=0).max() if shown.any() else 0
    # Thin for small persons, who would be hidden otherwise.
    thinnest = 1 if 0 < extent <= _SMALL else 2
    line = max(thinnest, min(round(max(image.shape[:2]) / 400), round(extent / _SMALL)))
    colors = [_joint_color(skeleton, joint) for joint in range(len(skeleton))]
    points = [(round(x), round(y)) for x, y in keypoints]
    for i, j in skeleton.bones:
        if shown[i] and shown[j]:
            color = colors[i] if colors[i] != _MIDDLE else colors[j]
            cv2.line(canvas, points[i], points[j], color, line, cv2.LINE_AA)
    for joint in np.flatnonzero(shown):
        if std is not None:
            axes = (max(1, round(std[joint, 0])), max(1, round(std[joint, 1])))
            cv2.ellipse(canvas, points[joint], axes, 0, 0, 360, colors[joint], max(1, line // 2), cv2.LINE_AA)
        cv2.circle(canvas, points[joint], line + 1, colors[joint], -1, cv2.LINE_AA)
    return canvas


def draw_label(image: Picture, text: str, corner: tuple[int, int], above: bool = False) -> None:
    """Write text on black into the picture, with its top left at `corner` (x, y), moved inside if necessary.

    above: the bottom left is at the corner instead. Text is larger in pictures of more than 1000 px, as are lines.
    """
    scale = max(1.0, max(image.shape[:2]) / _LARGE)
    font, thickness, margin = 0.45 * scale, round(scale), round(6 * scale)
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, font, thickness)
    width, height = text_width + 2 * margin, text_height + 2 * margin
    x = max(0, min(corner[0], image.shape[1] - width))
    y = max(0, min(corner[1] - (height if above else 0), image.shape[0] - height))
    cv2.rectangle(image, (x, y), (x + width, y + height), (0, 0, 0), -1)
    start = (x + margin, y + text_height + margin - 1)
    cv2.putText(image, text, start, cv2.FONT_HERSHEY_SIMPLEX, font, _TEXT, thickness, cv2.LINE_AA)


def _joint_color(skeleton: Skeleton, joint: int) -> tuple[int, int, int]:
    if skeleton.flip_permutation[joint] == joint:
        return _MIDDLE
    return _LEFT if skeleton.is_left(joint) else _RIGHT


def truth_and_prediction(
    image: Picture,
    bbox_xywh: Floats,
    skeleton: Skeleton,
    truth: Floats,
    visible: NDArray[np.integer],
    keypoints: Floats,
    std: Floats | None,
    title: str,
    tile_size_hw: tuple[int, int] = (320, 240),
    own: NDArray[np.bool_] | None = None,
) -> Picture:
    """Draw the person twice, side by side: with the labels, and with the prediction and its ellipses.

    bbox_xywh (4,) px; truth and keypoints (K, 2), std (K, 2) px in the picture; visible (K,); own (K,): the joints of
    the person's category, None for all -> RGB (h, 2 w, 3).
    """
    left = person_tile(image, bbox_xywh, skeleton, truth, "truth", visible=visible, tile_size_hw=tile_size_hw)
    right = person_tile(image, bbox_xywh, skeleton, keypoints, title, std, own, tile_size_hw)
    return np.concatenate([left, right], axis=1)


def person_tile(
    image: Picture,
    bbox_xywh: Floats,
    skeleton: Skeleton,
    keypoints: Floats,
    title: str,
    std: Floats | None = None,
    visible: NDArray[Any] | None = None,
    tile_size_hw: tuple[int, int] = (320, 240),
) -> Picture:
    """Crop a person from the picture and draw it with a title: see `truth_and_prediction` -> RGB (h, w, 3)."""
    center, scale = box_to_center_scale(bbox_xywh, tile_size_hw[1] / tile_size_hw[0], 1.4)
    matrix = crop_matrix(center, scale, tile_size_hw)
    points = transform_points(matrix, keypoints)
    std = None if std is None else std * matrix[0, 0]
    tile = draw_pose(warp_crop(image, matrix, tile_size_hw), points, skeleton, std, visible)
    draw_label(tile, title, (0, 0))
    return tile


def sheet(tiles: list[Picture], columns: int = 2) -> Picture:
    """Arrange pictures of one size on a grid, row by row."""
    blank = np.zeros_like(tiles[0])
    padded = tiles + [blank] * (-len(tiles) % columns)
    rows = [np.concatenate(padded[start : start + columns], axis=1) for start in range(0, len(padded), columns)]
    return np.concatenate(rows, axis=0)


def write_picture(path: Path, image: Picture) -> None:
    """Write an RGB picture in the format of the file's suffix. InputError if it cannot be written."""
    try:
        # Not imwrite, which crashes at names that are no UTF-8.
        written, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if written:
            path.write_bytes(data.tobytes())
    except (cv2.error, OSError):  # cv2: an unknown suffix
        written = False
    if not written:
        raise InputError(f"{path}: cannot write the picture; check the suffix, the folder, and the disk space")
