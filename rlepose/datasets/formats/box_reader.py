"""Read boxes: COCO's files and results, boxes by file name, arrays and .npy files."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlepose.datasets.formats.box_table import NO_CATEGORY, BoxTable, ToldBy
from rlepose.datasets.formats.coco import finite_numbers
from rlepose.datasets.formats.coco_entries import flag, whole_number
from rlepose.datasets.formats.file_names import ByFileName
from rlepose.datasets.formats.json_file import read_file, read_json
from rlepose.datasets.persons import counted
from rlepose.errors import InputError, first_line
from rlepose.paths import expanded
from rlepose.pose.geometry import Floats

log = logging.getLogger(__name__)

BOX_FILES = (".json", ".npy")
PERSON = 1  # COCO's id of people

Given = str | Path | ArrayLike | Sequence[Any] | Mapping[Any, Any]

_LARGEST = float(np.finfo(np.float32).max)
_NO_IMAGE_ID = "without an image_id that is a whole number"


@dataclass(frozen=True)
class CocoIds:
    """The ids that a COCO file has for pictures and categories.

    path: for messages. image_ids: by file name. categories: names by id of the categories whose boxes are used: those
    with keypoints, else `person`, else none, which means all. names: of all its categories by id.
    """

    path: Path
    image_ids: ByFileName[int]
    categories: Mapping[int, str]
    names: Mapping[int, str]


def read_ids(path: Path) -> CocoIds:
    """Read the ids of a file in COCO's layout; InputError for other content."""
    return _ids_of(path, read_json(path, "file of ids", "check the path"))


def is_box_file(given: object) -> bool:
    """Return whether boxes are given as the path of a file that can contain boxes."""
    return isinstance(given, Path) or (isinstance(given, str) and given.lower().endswith(BOX_FILES))


def read_boxes(given: Given, ids: CocoIds | None = None) -> BoxTable:
    """Read boxes from a file or from a caller's values. Boxes that are left out are counted by reason in the table.

    Args:
        given: a file (.npy, or JSON with one of these), or in Python:
            the content of a COCO file, {images, annotations, categories}: boxes of the categories of `ids`, by name,
            or of its only category; without `ids`, of the categories with keypoints, else of `person`, else all boxes.
            Crowds are omitted and, if persons have labels, so are those that validation omits: without a labelled
            joint.
            COCO results, [{image_id, category_id, bbox, score}, …]: boxes of the categories of `ids`, else of COCO's
            people, 1; boxes whose image_id is no whole number are omitted.
            {file name: boxes}: the boxes of each picture, of a film's frame film.mp4#3, or of all its frames film.mp4.
            (4,) or (N, 4) numbers: in the only picture, or in every frame of a film; a list of these, or (M, N, 4): the
            boxes of M pictures or frames in their order, pictures by name. x, y, width, height in px of the upright
            picture, and optionally a score as a fifth number.
        ids: of the categories and, for COCO results, of the pictures.

    Raises InputError for other values, and if no box is of a category that is used, or has an image_id.
    """
    if not is_box_file(given):
        return _table_of("boxes", list(given) if isinstance(given, Iterator) else given, ids)
    path = Path(expanded(given))  # type: ignore[arg-type]
    if path.suffix.lower() == ".npy":
        return _table_of(str(path), _load_npy(path), ids)
    return _table_of(str(path), read_json(path, "box file", "check the path"), ids)


def boxes_of_array(values: Any, where: str) -> tuple[Floats, Floats]:
    """Convert numbers (N, 4) or (N, 5), or the numbers of one box, to boxes (N, 4) and scores (N,), 0 without one.

    where: the name of the numbers in messages. Raises InputError for other values.
    """
    array = _numbers(values)
    if array is not None:
        array = array.reshape(-1, 4) if array.size == 0 else np.atleast_2d(array)
    if array is None or array.ndim != 2 or array.shape[1] not in (4, 5) or not (np.abs(array) <= _LARGEST).all():
        raise InputError(f"{where}: expected numbers (N, 4): x, y, width, height in px, and optionally a score")
    return array[:, :4], array[:, 4:].sum(axis=1)


def _load_npy(path: Path) -> NDArray[Any]:
    read_file(path, "box file", "check the path")  # reports what is wrong with the file itself
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except Exception as error:  # NumPy and zipfile raise many kinds for other files
        raise InputError(
            f"{path}: holds no array of numbers ({first_line(error)}); write it with numpy.save"
        ) from error


def _table_of(source: str, tree: Any, ids: CocoIds | None) -> BoxTable:
    if isinstance(tree, Mapping):
        if isinstance(tree.get("images"), list) and isinstance(tree.get("annotations"), list):
            return _of_coco(source, tree, ids)
        return _of_names(source, tree)
    if isinstance(tree, list) and not tree and source != "boxes":
        raise InputError(f"{source}: expected boxes, got an empty list; was the detector run?")
    if isinstance(tree, list) and tree and all(isinstance(entry, dict) for entry in tree):
        return _of_results(source, tree, ids)
    return _of_numbers(source, tree)


def _of_names(source: str, tree: Mapping[Any, Any]) -> BoxTable:
    collected = _Collected(source)
    rows: dict[str, list[int]] = {}
    for name, values in tree.items():
        if not isinstance(name, str | Path):
            raise InputError(f"{source}: expected file names as the keys, got {name!r}")
        if source != "boxes" and not isinstance(values, list):  # a file of another kind
            raise InputError(
                f"{source}: expected {{file name: [[x, y, width, height], …]}}, COCO's layout with images and "
                f"annotations, COCO results or numbers, and {name!r} is none of them"
            )
        rows[str(name)] = collected.add_array(values, f"{source}: {name}")
    return collected.table("name", by_name=ByFileName(rows))


def _of_numbers(source: str, values: Any) -> BoxTable:
    """Read (4,), (N, 4), (M, N, 4) or a list of M of these, with 5 instead of 4 if there are scores."""
    collected = _Collected(source)
    if isinstance(values, str | bytes) or not hasattr(values, "__len__") or getattr(values, "shape", None) == ():
        raise InputError(
            f"{source}: expected 'whole', 'detector', a file, or boxes (x, y, width, height in px and optionally a "
            "score: (N, 4) or (N, 5) for one picture, a list of these for several, a dict by file name, COCO's layout "
            f"or COCO results), got {values!r}"
        )
    array = _numbers(values)
    listed = array is None or array.ndim == 3 or (array.ndim == 2 and array.shape[1] == 0)
    if not listed:
        collected.add_array(values, source)
        return collected.table("every picture")
    rows = {n: collected.add_array(entry, f"{source}: entry {n}") for n, entry in enumerate(values)}
    return collected.table("number", by_number=rows)


def _of_results(source: str, entries: Sequence[Mapping[str, Any]], ids: CocoIds | None) -> BoxTable:
    categories = {PERSON: "person"} if ids is None else ids.categories
    fix = "correct category_id" if ids else "correct category_id, or pass the COCO file that has these ids (--ids FILE)"
    left_out = Counter[str]()
    taken = _of_categories(source, "box", list(enumerate(entries)), categories, fix, left_out)
    scored = any("score" in entry for entry in entries)
    collected = _Collected(source)
    rows: dict[int, list[int]] = {}
    for number, entry in taken:
        box = finite_numbers(entry.get("bbox"), 4)
        score = finite_numbers([entry.get("score")], 1) if scored else np.zeros(1)
        if box is None or score is None:
            raise InputError(
                f"{source}: entry {number}: expected bbox [x, y, w, h] and a finite score, got {dict(entry)}"
            )
        image_id = whole_number(entry.get("image_id"))
        if image_id is None:
            left_out[_NO_IMAGE_ID] += 1
            continue
        category = whole_number(entry.get("category_id"))
        rows.setdefault(image_id, []).append(collected.add(box, score[0], category, number))
    if taken and not rows:
        example = f"entry {taken[0][0]} has {taken[0][1].get('image_id')!r}"
        raise InputError(f"{source}: no box has an image_id that is a whole number ({example}); correct image_id")
    if left_out[_NO_IMAGE_ID]:
        log.warning("%s: left out: %s", source, counted({_NO_IMAGE_ID: left_out[_NO_IMAGE_ID]}))
    image_ids = None if ids is None else ids.image_ids
    return collected.table("id", by_number=rows, image_ids=image_ids, left_out=left_out)


def _of_coco(source: str, tree: Mapping[str, Any], wanted: CocoIds | None) -> BoxTable:
    ids = _ids_of(Path(source), tree)
    category_of = _categories_of(ids, wanted)
    try:
        names = {whole_number(image["id"]): str(Path(image["file_name"])) for image in tree["images"]}
        boxed = [(n, a) for n, a in enumerate(tree["annotations"]) if a.get("bbox")]
        persons = [(n, a) for n, a in boxed if not flag(a.get("iscrowd"))]
        left_out = Counter({"crowd": len(boxed) - len(persons)})
        taken = _of_categories(source, "annotation", persons, category_of, "correct category_id", left_out)
        judged = [(n, a) for n, a in taken if any((a.get("keypoints") or [])[2::3])]
        left_out["without a labelled joint"] = len(taken) - len(judged or taken)
        if left_out.total():
            log.info("%s: left out, as in validation: %s", source, counted(left_out))
        collected = _Collected(source)
        rows: dict[str, list[int]] = {name: [] for name in names.values()}
        for number, annotation in judged or taken:
            box, score = finite_numbers(annotation["bbox"], 4), finite_numbers([annotation.get("score", 0)], 1)
            if box is None or score is None:
                raise InputError(
                    f"{source}: annotation {annotation.get('id', number)}: expected bbox [x, y, w, h] and a finite "
                    f"score, got {annotation['bbox']} and {annotation.get('score', 0)}"
                )
            given = whole_number(annotation.get("category_id"))
            category = None if given is None else category_of.get(given, given)
            name = names[whole_number(annotation["image_id"])]
            rows[name].append(collected.add(box, score[0], category, number))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{source}: expected COCO's layout ({type(error).__name__}: {error}); check the file"
        ) from error
    return collected.table("name", by_name=ByFileName(rows), image_ids=ids.image_ids, left_out=left_out)


def _ids_of(path: Path, tree: Any) -> CocoIds:
    try:
        image_ids = {str(Path(image["file_name"])): whole_number(image["id"]) for image in tree["images"]}
        categories = [
            (whole_number(c["id"]), str(c.get("name")), c.get("keypoints")) for c in tree.get("categories", [])
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected COCO's layout ({type(error).__name__}: {error}); check the file") from error
    if None in image_ids.values() or any(identity is None for identity, *_ in categories):
        raise InputError(f"{path}: expected COCO's layout (ids are not whole numbers); check the file")
    with_joints = {identity: name for identity, name, joints in categories if joints}
    people = {identity: name for identity, name, _ in categories if name == "person"}
    taken = {identity: name for identity, name in (with_joints or people).items() if identity is not None}
    names = {identity: name for identity, name, _ in categories if identity is not None}
    return CocoIds(path, ByFileName({name: i for name, i in image_ids.items() if i is not None}), taken, names)


def _categories_of(ids: CocoIds, wanted: CocoIds | None) -> dict[int, int]:
    """Map the file's categories whose boxes are used to the categories of `wanted`: by name, or one to one if alone.

    Without `wanted`, to themselves. Empty for a file without categories, whose boxes are all used.
    """
    if wanted is None or not wanted.categories:
        return {identity: identity for identity in ids.categories}
    id_of = {name.casefold(): identity for identity, name in reversed([*wanted.categories.items()])}
    alike = {identity: id_of[name.casefold()] for identity, name in ids.names.items() if name.casefold() in id_of}
    if alike or not ids.names:
        return alike
    if len(ids.names) == len(id_of) == 1:
        return dict(zip(ids.names, id_of.values(), strict=True))
    raise InputError(
        f"{ids.path}: none of its categories ({', '.join(ids.names.values())}) is called "
        f"{' or '.join(wanted.categories.values())}; rename the category of these boxes"
    )


def _of_categories(
    source: str,
    what: str,
    entries: list[tuple[int, Any]],
    categories: Collection[int],
    fix: str,
    left_out: Counter[str],
) -> list[tuple[int, Any]]:
    """Return the entries of these categories, and those without one; without categories, all.

    Counts the others by category in `left_out`. Raises InputError if all are others.
    """
    if not categories:
        return entries
    others = [(n, e) for n, e in entries if "category_id" in e and whole_number(e["category_id"]) not in categories]
    if not others:
        return entries
    counts = Counter(f"of category {entry['category_id']}" for _, entry in others)
    left_out.update(counts)
    wanted = " or ".join(map(str, sorted(categories)))
    if len(others) == len(entries):
        raise InputError(f"{source}: no {what} is of category {wanted} (left out: {counted(left_out)}); {fix}")
    log.info("%s: boxes of other categories than %s are left out: %s", source, wanted, counted(counts))
    numbers = {number for number, _ in others}
    return [item for item in entries if item[0] not in numbers]


def _numbers(values: Any) -> NDArray[np.float64] | None:
    """Return an array of numbers, or None if the values do not form one."""
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        # No numbers, rows of different lengths, a number that is too large, a tensor that needs its gradient.
        return None


class _Collected:
    """Boxes that have been read so far."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._boxes: list[Floats] = []
        self._scores: list[float] = []
        self._categories: list[int] = []
        self._entries: list[int] = []

    def add(self, box: Floats, score: float, category: int | None, entry: int) -> int:
        """Add a box; return its row."""
        self._boxes.append(box)
        self._scores.append(float(score))
        self._categories.append(NO_CATEGORY if category is None else category)
        self._entries.append(entry)
        return len(self._boxes) - 1

    def add_array(self, values: Any, where: str) -> list[int]:
        """Add boxes (N, 4) or (N, 5), or one box; return their rows."""
        boxes, scores = boxes_of_array(values, where)
        return [self.add(box, score, None, len(self._boxes)) for box, score in zip(boxes, scores, strict=True)]

    def table(
        self,
        told_by: ToldBy,
        by_name: ByFileName[list[int]] | None = None,
        by_number: Mapping[int, list[int]] | None = None,
        image_ids: ByFileName[int] | None = None,
        left_out: Mapping[str, int] | None = None,
    ) -> BoxTable:
        return BoxTable(
            self._source,
            np.array(self._boxes, float).reshape(-1, 4),
            np.array(self._scores, float),
            np.array(self._categories, np.int64),
            np.array(self._entries, np.int64),
            told_by,
            by_name or ByFileName({}),
            by_number or {},
            image_ids,
            {reason: count for reason, count in (left_out or {}).items() if count},
        )
