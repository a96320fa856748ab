"""Read persons from a COCO-format file into a PersonTable."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.coco_file import CocoFile, Pictures
from rlepose.datasets.persons import PersonTable, counted
from rlepose.errors import InputError
from rlepose.pose.geometry import clip_boxes

log = logging.getLogger(__name__)

_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
# Annotators place labels of joints at the border up to one pixel outside.
_OUTSIDE_TOLERANCE_PX = 1.0


def persons_from_annotations(coco: CocoFile, image_root: str | Path) -> PersonTable:
    """Return the labelled persons of a file.

    Annotations that the file leaves out, crowds, boxes outside the picture, and persons without a labelled joint are
    left out, and counted by reason in the log and in the table. Labels outside their picture count as unlabelled.
    InputError for invalid numbers, and if no person remains.
    """
    table, warnings = read_persons(coco, image_root)
    tell_of_persons(coco.path, table, warnings)
    return table


def tell_of_persons(path: Path, table: PersonTable, warnings: Sequence[str], source: str = "") -> None:
    """Log how many persons a file has, and sentences to warn of. source: where they were read instead of the file."""
    text = "%s: %d persons in %d pictures; left out: %s" + f"; from {source}" * bool(source)
    log.info(text, path, len(table), len(table.image_ids), counted(table.left_out))
    for warning in warnings:
        log.warning("%s: %s", path, warning)


def read_persons(coco: CocoFile, image_root: str | Path) -> tuple[PersonTable, list[str]]:
    """Return the labelled persons as `persons_from_annotations`, and what to warn of instead of a log."""
    left_out = Counter(coco.left_out)
    ids, categories, rows, boxes, labels = [], [], [], [], []
    for annotation in coco.annotations:
        reason = _reason_to_leave_out(annotation)
        if reason is not None:
            left_out[reason] += 1
            continue
        ids.append(annotation["id"])
        categories.append(annotation["category_id"])
        rows.append(coco.row_of_image[annotation["image_id"]])
        boxes.append(_finite(coco, annotation, "bbox", 4) if annotation.get("bbox") else np.zeros(4))
        labels.append(_finite(coco, annotation, "keypoints", 3 * coco.num_keypoints))
    coco.require(dict.fromkeys(rows))
    image_index = np.array(rows, np.int64)
    sizes = coco.size_wh[image_index]
    bbox_xywh = clip_boxes(np.array(boxes).reshape(-1, 4), sizes)
    keypoints = np.array(labels, np.float32).reshape(len(ids), coco.num_keypoints, 3)
    visible, outside = _labelled_inside(coco, ids, keypoints, sizes)
    table = person_table(
        coco,
        image_root,
        person_ids=np.array(ids, np.int64),
        category_ids=np.array(categories, np.int64),
        image_index=image_index,
        bbox_xywh=bbox_xywh.astype(np.float32),
        box_score=np.ones(len(ids), np.float32),
        keypoints=np.where(visible[..., None] > 0, keypoints[..., :2], 0),
        visible=visible,
        category_names=coco.category_names,
    )
    inside, labelled = (bbox_xywh[:, 2:] > 0).all(axis=1), visible.any(axis=1)
    left_out["box outside the picture"] += int((~inside).sum())
    left_out["no labelled joint inside the picture"] += int((inside & ~labelled).sum())
    table = replace(table.select(np.asarray(inside & labelled)), left_out={k: n for k, n in left_out.items() if n})
    warnings = []
    if outside:
        warnings.append(f"{outside} labels are outside their picture and count as unlabelled")
    if coco.wrong_ids:
        warnings.append(f"left out, probably by mistake: {counted(coco.wrong_ids)}; correct these ids")
    if coco.made_boxes:
        warnings.append(f"{len(coco.made_boxes)} persons have no box; data.missing_boxes says what theirs is")
    if not len(table):
        tell_of_persons(coco.path, table, warnings)
        counts = counted(table.left_out)
        raise InputError(f"{coco.path}: no persons with labelled keypoints (left out: {counts}); check the file")
    return table, warnings


def person_table(pictures: Pictures, image_root: str | Path, **persons: Any) -> PersonTable:
    """Return the table of persons, given by its columns, in a file's pictures."""
    return PersonTable(
        image_root=Path(image_root),
        image_ids=np.array([image["id"] for image in pictures.images], np.int64),
        image_files=np.array(pictures.file_names, np.str_),
        image_size_wh=pictures.size_wh,
        **persons,
    )


def _reason_to_leave_out(annotation: dict[str, Any]) -> str | None:
    keypoints = annotation.get("keypoints") or []
    if annotation.get("iscrowd"):
        return "crowd"
    if isinstance(keypoints, list) and not any(keypoints[2::3]):
        return "no labelled joint"
    return None


def _finite(coco: CocoFile, annotation: dict[str, Any], key: str, length: int) -> NDArray[np.float64]:
    values = annotation.get(key)
    array = finite_numbers(values, length)
    if array is None:
        got = f"{len(values)} values" if isinstance(values, list) and len(values) != length else repr(values)
        mend = ""
        if key == "keypoints":
            nested = isinstance(values, list) and any(isinstance(value, list) for value in values)
            mend = "; write one flat list: x, y, v, x, y, v, …" if nested else "; a joint without label is 0, 0, 0"
        raise InputError(
            f"{coco.path}: annotation {annotation['id']}: {key}: expected {length} finite numbers, got {got}{mend}"
        )
    return array


def finite_numbers(values: Any, length: int) -> NDArray[np.float64] | None:
    """Return a list of `length` numbers that are finite in float32 as an array (length,), or None for other values."""
    if not isinstance(values, list) or len(values) != length:
        return None
    if not all(isinstance(value, int | float) for value in values):
        return None
    try:
        array = np.array(values, float)
    except OverflowError:  # a whole number that is too large for a float
        return None
    return array if (np.abs(array) <= _LARGEST_FLOAT32).all() else None


def _labelled_inside(
    coco: CocoFile, ids: list[int], keypoints: NDArray[np.float32], size_wh: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], int]:
    """Visibility (N, K), with 0 for labels that lie outside their picture, and the number of these."""
    xy, visible = keypoints[..., :2], keypoints[..., 2]
    strange = np.argwhere(~np.isin(visible, (0, 1, 2)))
    if len(strange):
        person, joint = strange[0]
        raise InputError(
            f"{coco.path}: {len(strange)} joints have a visibility other than 0, 1 or 2, the first is "
            f"{visible[person, joint]:g} in annotation {ids[person]} (joint {coco.category['keypoints'][joint]}); "
            "write 0 for a joint without label, 1 for a hidden one, 2 for a visible one"
        )
    limit = size_wh[:, None, :] - 1 + _OUTSIDE_TOLERANCE_PX
    inside = ((xy >= -_OUTSIDE_TOLERANCE_PX) & (xy <= limit)).all(axis=-1)
    outside = int(((visible > 0) & ~inside).sum())
    return np.where(inside, visible, 0).astype(np.uint8), outside
