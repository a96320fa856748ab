"""Person boxes of a picture: given by the caller, found by a detector, or the whole picture."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlepose.datasets.formats.json_file import read_json
from rlepose.errors import InputError
from rlepose.inference.media import InputPicture
from rlepose.pose.geometry import Floats, clip_boxes


class Boxes(NamedTuple):
    """bbox_xywh (N, 4) px, score (N,) of the detector or 0, and problems, one sentence per omitted box."""

    bbox_xywh: Floats
    score: Floats
    problems: tuple[str, ...] = ()


NO_BOXES = np.zeros((0, 4)), np.zeros(0)

Detect = Callable[[NDArray[np.uint8]], Boxes]
BoxSource = Callable[[int, InputPicture], Boxes]
GivenBoxes = None | str | ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]

_EXPECTED = (
    "boxes: expected 'whole', 'detector' or boxes (x, y, width, height in px and optionally a score: (N, 4) or (N, 5) "
    "for one picture, a list of these for several pictures, or a dict by file name), got"
)


def box_source(boxes: GivenBoxes, pictures: int | None, detect: Callable[[], Detect]) -> BoxSource:
    """Return a function that gives the boxes of picture number i.

    Args:
        boxes: None or 'detector' for the output of `detect()`; 'whole' for one box around the picture; else x, y, width
            and height in px and optionally a score, (N, 4) or (N, 5): for one picture, in a list with one entry per
            picture, or in a dict by file name, with as many folders as needed to make the names unique.
        pictures: number of pictures, None if it is not known in advance.
        detect: loads the detector.

    Raises InputError for invalid boxes and for a wrong number of entries.
    """
    if boxes is None or (isinstance(boxes, str) and boxes == "detector"):
        return _of_detector(detect())
    if isinstance(boxes, str):
        if boxes != "whole":
            raise InputError(f"{_EXPECTED} {boxes!r}")
        return lambda _, frame: Boxes(np.array([[0, 0, *_size_wh(frame)]], float), np.zeros(1))
    if isinstance(boxes, Mapping):
        return _by_name(boxes)
    if isinstance(boxes, Iterator):
        boxes = list(boxes)
    try:
        in_order = list(boxes)  # type: ignore[arg-type]
    except TypeError as error:
        raise InputError(f"{_EXPECTED} {boxes!r}") from error
    if pictures == 1 and not (len(in_order) == 1 and _dimensions(in_order[0]) == 2):
        return lambda _, frame: _boxes(boxes, frame.name)
    if pictures is not None and pictures != len(in_order):
        raise InputError(f"boxes: {len(in_order)} entries for {pictures} pictures; give one entry per picture")

    def of_number(number: int, frame: InputPicture) -> Boxes:
        if number >= len(in_order):
            raise InputError(f"boxes: no entry for {frame.name} in a list of {len(in_order)}; give one per picture")
        return _boxes(in_order[number], frame.name)

    return of_number


def _of_detector(detector: Detect) -> BoxSource:
    def of_picture(_: int, frame: InputPicture) -> Boxes:
        found = detector(_pixels(frame))
        if not isinstance(found, Boxes):
            raise InputError(
                f"detector: {frame.name}: expected rlepose.inference.boxes.Boxes as result, got {type(found).__name__}"
            )
        return found

    return of_picture


def _dimensions(values: ArrayLike) -> int:
    """Return the number of axes of an array of these values, 0 if they do not form an array."""
    try:
        return np.ndim(values)
    except ValueError:  # rows of different lengths
        return 0


def _by_name(boxes: Mapping[str, ArrayLike]) -> BoxSource:
    """Look boxes up by the end of the picture's path, else by a file name that occurs only once.

    An empty list means that there is no person; a missing name is an error.
    """
    given: dict[str, ArrayLike] = {}
    of_same_name: dict[str, list[str]] = {}
    for name, values in boxes.items():
        if not isinstance(name, str | Path):
            raise InputError(f"boxes: expected file names as the keys, got {name!r}")
        given[str(name)] = values
        of_same_name.setdefault(Path(name).name, []).append(str(name))

    def of_picture(_: int, frame: InputPicture) -> Boxes:
        path = Path(frame.name).absolute()
        names = of_same_name.get(path.name, [])
        if not names:
            return Boxes(*NO_BOXES, (f"{frame.name}: no entry in the given boxes; add one, [] if there is no person",))
        name = max(names, key=lambda name: _parts_at_end(path, Path(name)))
        if len(names) > 1 and not _parts_at_end(path, Path(name)):
            problem = f"{frame.name}: several entries in the given boxes match: {', '.join(names)}; rename its folder"
            return Boxes(*NO_BOXES, (problem,))
        return _boxes(given[name], frame.name)

    return of_picture


def _parts_at_end(path: Path, end: Path) -> int:
    """Return the number of components of `end` if the path ends with it, else 0."""
    return len(end.parts) if path.parts[-len(end.parts) :] == end.parts else 0


def _boxes(values: Any, name: str) -> Boxes:
    try:
        array = np.asarray(values, float)
        array = array.reshape(-1, 4) if array.size == 0 else np.atleast_2d(array)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros((1, 0))
    if array.ndim != 2 or array.shape[1] not in (4, 5) or not np.isfinite(array).all():
        raise InputError(f"boxes: {name}: expected numbers (N, 4): x, y, width, height in px, and optionally a score")
    return Boxes(array[:, :4], array[:, 4:].sum(axis=1))


def inside_picture(boxes: Boxes, frame: InputPicture) -> Boxes:
    """Clip boxes at the picture's border, as in training; omit and report boxes outside it."""
    width, height = _size_wh(frame)
    clipped = clip_boxes(boxes.bbox_xywh, (width, height)).astype(np.float32)
    inside = clipped[:, 2:].min(axis=1) > 0
    problems = tuple(
        f"{frame.name}: the box {[round(float(side), 1) for side in box]} does not overlap the picture of "
        f"{width}x{height} px; give x, y, width, height in px of the upright picture"
        for box in boxes.bbox_xywh[~inside]
    )
    return Boxes(clipped[inside], boxes.score[inside], boxes.problems + problems)


def read_boxes(path: Path) -> dict[str, list[list[float]]]:
    """Read boxes by file name from JSON: {name: [[x, y, w, h], …]}, or a COCO file with images and annotations.

    Names are those of the file, including folders. From a COCO file, boxes of the categories with keypoints are used,
    else of 'person', else all boxes, with the annotation's score or 0; crowds are omitted.

    Raises InputError for other content and for invalid boxes.
    """
    boxes = _boxes_in(path)
    for name, values in boxes.items():
        _boxes(values, f"{path}: {name}")
    return boxes


def _boxes_in(path: Path) -> dict[str, list[list[float]]]:
    tree = read_json(path, "box file", "check the path")
    if isinstance(tree, dict) and isinstance(tree.get("images"), list) and isinstance(tree.get("annotations"), list):
        try:
            names = {image["id"]: str(Path(image["file_name"])) for image in tree["images"]}
            boxes: dict[str, list[list[float]]] = {name: [] for name in names.values()}
            categories = _person_categories(tree.get("categories", []))
            for annotation in tree["annotations"]:
                if categories and annotation["category_id"] not in categories:
                    continue
                if annotation.get("bbox") and not annotation.get("iscrowd"):
                    x, y, width, height = annotation["bbox"]
                    boxes[names[annotation["image_id"]]].append([x, y, width, height, annotation.get("score", 0)])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: expected COCO's layout ({type(error).__name__}: {error}); check the file"
            ) from error
        return boxes
    if isinstance(tree, dict) and all(isinstance(value, list) for value in tree.values()):
        return tree
    raise InputError(
        f"{path}: expected {{file name: [[x, y, width, height], …]}}, or COCO's layout with images and annotations"
    )


def _person_categories(categories: list[dict[str, Any]]) -> set[int]:
    """Return the ids of the categories with keypoints, else of 'person'; may be empty."""
    with_keypoints = {category["id"] for category in categories if category.get("keypoints")}
    return with_keypoints or {category["id"] for category in categories if category.get("name") == "person"}


def _size_wh(frame: InputPicture) -> tuple[int, int]:
    height, width = _pixels(frame).shape[:2]
    return width, height


def _pixels(frame: InputPicture) -> NDArray[np.uint8]:
    assert frame.pixels is not None
    return frame.pixels
