"""Sources of the boxes of a picture's persons: given, found by a detector, or the whole picture."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlepose.datasets.formats.box_reader import Given, boxes_of_array, read_boxes
from rlepose.datasets.formats.box_table import BoxTable, PictureKey
from rlepose.datasets.formats.file_names import ByFileName
from rlepose.errors import InputError
from rlepose.inference.input_picture import InputPicture
from rlepose.pose.geometry import Floats, clip_boxes


class Boxes(NamedTuple):
    """Boxes of a picture: bbox_xywh (N, 4) px, score (N,) of a detector, 0 without one, problems of omitted boxes, and
    category_ids (N,), None if unknown."""

    bbox_xywh: Floats
    score: Floats
    problems: tuple[str, ...] = ()
    category_ids: NDArray[np.int64] | None = None


NO_BOXES = np.zeros((0, 4)), np.zeros(0)


class PersonDetector(Protocol):
    """Find the persons in a picture: any function of its pixels, such as a wrapper around your own detector.

    pixels: (H, W, 3) RGB uint8, upright. Returns an array (N, 4) of x, y, width, height in px, or (N, 5) with a score
    in [0, 1], by which persons are ranked; (0, 4) if there is no person. A `Boxes` is also accepted.

    Example:
        >>> def largest_cow(pixels):
        ...     x1, y1, x2, y2, score = my_model(pixels)
        ...     return [[x1, y1, x2 - x1, y2 - y1, score]]
        >>> predictor = Predictor("exp/cows/checkpoints/best.pt", detector=largest_cow)
    """

    def __call__(self, pixels: NDArray[np.uint8], /) -> ArrayLike | Boxes:
        """Return the boxes of the persons in a picture."""
        ...


BoxSource = Callable[[InputPicture], Boxes]
GivenBoxes = None | Given | BoxTable


def box_source(boxes: GivenBoxes, pictures: int | None, film: bool, detect: Callable[[], PersonDetector]) -> BoxSource:
    """Return a function that finds the boxes of a picture.

    boxes: None or 'detector': what `detect()` finds; 'whole': the picture itself; else what `read_boxes` reads, or has
    read. pictures: the number of pictures, None if unknown. film: whether they are the frames of a film.
    InputError for other boxes, or for more or fewer pictures.
    """
    if detects(boxes):
        detector = detect()
        return lambda picture: _found(detector(_pixels(picture)), picture)
    if isinstance(boxes, str) and boxes == "whole":
        return lambda picture: Boxes(np.array([[0, 0, *_size_wh(picture)]], float), np.zeros(1))
    table = boxes if isinstance(boxes, BoxTable) else read_boxes(boxes)  # type: ignore[arg-type]
    table.check_pictures(pictures, film)

    def of_picture(picture: InputPicture) -> Boxes:
        rows, problem = table.of_picture(key_of(picture, table.image_ids))
        if not rows and table.told_by == "id" and picture.frame is None:
            problem = f"{picture.name}: {table.source} has no box on it"
        return Boxes(table.bbox_xywh[rows], table.score[rows], (problem,) if problem else (), table.category_ids[rows])

    return of_picture


def detects(boxes: GivenBoxes) -> bool:
    """Return whether a detector must find the boxes."""
    return boxes is None or (isinstance(boxes, str) and boxes == "detector")


def key_of(picture: InputPicture, image_ids: ByFileName[int] | None) -> PictureKey:
    """Return the key of a picture. image_ids: the ids of a data set; without them, the id is the frame of a film, or
    the number in the picture's name.
    """
    if image_ids is not None:
        found = image_ids.find(picture.name).value
        if found is None and picture.frame == 0:  # a data set sees the first picture of an animation
            found = image_ids.find_film(picture.name).value
        return PictureKey(picture.name, found, picture.number)
    stem = picture.path.stem
    number = int(stem) if stem.isdecimal() and len(stem) < 19 else None
    return PictureKey(picture.name, number if picture.frame is None else picture.frame, picture.number)


def _found(found: Any, picture: InputPicture) -> Boxes:
    where = f"detector: {picture.name}"
    if not isinstance(found, Boxes):
        return Boxes(*boxes_of_array(found, where))
    boxes, _ = boxes_of_array(found.bbox_xywh, where)
    if np.shape(found.score) != (len(boxes),):
        raise InputError(f"{where}: {len(boxes)} boxes with scores of shape {np.shape(found.score)}; give one a box")
    return found._replace(bbox_xywh=boxes, score=np.asarray(found.score, float))


def inside_picture(boxes: Boxes, picture: InputPicture) -> Boxes:
    """Clip boxes at the picture's border, as in training; omit and report boxes outside it."""
    width, height = _size_wh(picture)
    clipped = clip_boxes(boxes.bbox_xywh, (width, height)).astype(np.float32)
    inside = clipped[:, 2:].min(axis=1) > 0
    problems = tuple(
        f"{picture.name}: the box {[round(float(side), 1) for side in box]} does not overlap the picture of "
        f"{width}x{height} px; give x, y, width, height in px of the upright picture"
        for box in boxes.bbox_xywh[~inside]
    )
    categories = None if boxes.category_ids is None else boxes.category_ids[inside]
    return Boxes(clipped[inside], boxes.score[inside], boxes.problems + problems, categories)


def _size_wh(picture: InputPicture) -> tuple[int, int]:
    height, width = _pixels(picture).shape[:2]
    return width, height


def _pixels(picture: InputPicture) -> NDArray[np.uint8]:
    assert picture.pixels is not None
    return picture.pixels
