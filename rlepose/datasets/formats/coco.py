"""Read persons from a COCO-format file or a detection file into a PersonTable."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.category_groups import CategoryGroup
from rlepose.datasets.formats.coco_file import CocoFile, Pictures, read_json
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.pose.geometry import clip_boxes

log = logging.getLogger(__name__)

_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
# Annotators place labels of joints at the border up to one pixel outside.
_OUTSIDE_TOLERANCE_PX = 1.0


def persons_from_annotations(coco: CocoFile, image_root: str | Path) -> PersonTable:
    """Return the labelled persons of a file.

    As in the authors' code, crowds, persons with area 0, boxes outside the picture, and persons without a labelled
    joint are skipped and counted in the log. Labels outside their picture count as unlabelled. InputError for invalid
    numbers, and if no person remains.
    """
    image_row = {image["id"]: row for row, image in enumerate(coco.images)}
    sizes = _image_sizes(coco)
    left_out: Counter[str] = Counter()
    ids, categories, rows, boxes, labels = [], [], [], [], []
    for annotation in coco.annotations:
        reason = _reason_to_leave_out(coco, annotation)
        if reason is not None:
            left_out[reason] += 1
            continue
        ids.append(annotation["id"])
        categories.append(annotation["category_id"])
        rows.append(row_of_image(coco, annotation, image_row))
        boxes.append(_finite(coco, annotation, "bbox", 4))
        labels.append(_finite(coco, annotation, "keypoints", 3 * coco.num_keypoints))
    image_index = np.array(rows, np.int64)
    bbox_xywh = clip_boxes(np.array(boxes).reshape(-1, 4), sizes[image_index])
    keypoints = np.array(labels, np.float32).reshape(len(ids), coco.num_keypoints, 3)
    visible = _labelled_inside(coco, keypoints, sizes[image_index])
    table = _table(
        coco,
        image_root,
        person_ids=np.array(ids, np.int64),
        category_ids=np.array(categories, np.int64),
        image_index=image_index,
        bbox_xywh=bbox_xywh.astype(np.float32),
        box_score=np.ones(len(ids), np.float32),
        keypoints=np.where(visible[..., None] > 0, keypoints[..., :2], 0),
        visible=visible,
    )
    inside, labelled = (bbox_xywh[:, 2:] > 0).all(axis=1), visible.any(axis=1)
    left_out["box outside the picture"] += int((~inside).sum())
    left_out["no labelled joint inside the picture"] += int((inside & ~labelled).sum())
    table = table.select(np.asarray(inside & labelled))
    counts = ", ".join(f"{count} × {reason}" for reason, count in left_out.items() if count) or "none"
    log.info("%s: %d persons in %d pictures; skipped: %s", coco.path, len(table), len(coco.images), counts)
    if not len(table):
        raise InputError(f"{coco.path}: no persons with labelled keypoints (skipped: {counts}); check the file")
    return table


def persons_from_detections(
    pictures: Pictures, image_root: str | Path, path: str | Path, groups: Sequence[CategoryGroup], clip: bool = True
) -> PersonTable:
    """Return the boxes of these groups' categories from a detection file in COCO's results format, without labels.

    clip: clip boxes like annotated ones, at the picture's border and by one pixel. Boxes outside the picture are
    skipped; a box without a category belongs to the only group. InputError for invalid entries, and for entries that
    refer to an unknown picture.
    """
    path = Path(path)
    entries = read_json(path, "detection file")
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "bbox" in e for e in entries):
        raise InputError(f"{path}: expected COCO's results format, a list of {{image_id, category_id, bbox, score}}")
    image_row = {image["id"]: row for row, image in enumerate(pictures.images)}
    sizes = _image_sizes(pictures)
    category_ids = [identity for group in groups for identity in group.category_ids]
    kept = []
    for number, entry in enumerate(entries):
        if "category_id" not in entry and len(groups) > 1:
            raise InputError(f"{path}: entry {number} has no category_id, which determines its joints; add it")
        category = entry.get("category_id", category_ids[0])
        if category not in category_ids:
            continue
        image_id, score = entry.get("image_id"), entry.get("score")
        box = finite_numbers(entry["bbox"], 4)
        row = image_row.get(image_id) if isinstance(image_id, int) else None
        if row is None:
            raise InputError(
                f"{path}: entry {number}: no picture {entry.get('image_id')!r} in {pictures.path}; check the split"
            )
        if box is None or finite_numbers([score], 1) is None:
            raise InputError(f"{path}: entry {number}: expected bbox [x, y, w, h] and a finite score, got {entry}")
        bbox_xywh = np.asarray(clip_boxes(box, sizes[row]) if clip else box, np.float32)
        kept.append((number, category, row, score, bbox_xywh))
    kept = [item for item in kept if min(item[-1][2:]) > 0]
    log.info("%s: %d boxes of category %s", path, len(kept), ", ".join(map(str, sorted(category_ids))))
    num_keypoints = len({joint for group in groups for joint in group.joints})
    return _table(
        pictures,
        image_root,
        person_ids=np.array([number for number, *_ in kept], np.int64),
        category_ids=np.array([category for _, category, *_ in kept], np.int64),
        image_index=np.array([row for _, _, row, _, _ in kept], np.int64),
        bbox_xywh=np.array([box for *_, box in kept], np.float32).reshape(-1, 4),
        box_score=np.array([score for *_, score, _ in kept], np.float32),
        keypoints=np.zeros((len(kept), num_keypoints, 2), np.float32),
        visible=np.zeros((len(kept), num_keypoints), np.uint8),
    )


def _table(pictures: Pictures, image_root: str | Path, **persons: NDArray[Any]) -> PersonTable:
    return PersonTable(
        image_root=Path(image_root),
        image_ids=np.array([image["id"] for image in pictures.images], np.int64),
        image_files=np.array([image["file_name"] for image in pictures.images], np.str_),
        image_size_wh=_image_sizes(pictures),
        **persons,
    )


def _image_sizes(pictures: Pictures) -> NDArray[np.int32]:
    return np.array([(image["width"], image["height"]) for image in pictures.images], np.int32).reshape(-1, 2)


def _reason_to_leave_out(coco: CocoFile, annotation: dict[str, Any]) -> str | None:
    keypoints = annotation.get("keypoints") or []
    if annotation.get("iscrowd"):
        return "crowd"
    if "area" in annotation and _finite(coco, annotation | {"area": [annotation["area"]]}, "area", 1)[0] <= 0:
        return "area 0"
    if isinstance(keypoints, list) and not any(keypoints[2::3]):
        return "no labelled joint"
    return None


def row_of_image(pictures: Pictures, annotation: dict[str, Any], image_row: dict[int, int]) -> int:
    """Return the row of an annotation's picture, given rows by picture id; InputError for an unknown picture."""
    image_id = annotation.get("image_id")
    row = image_row.get(image_id) if isinstance(image_id, int) else None
    if row is None:
        raise InputError(
            f"{pictures.path}: annotation {annotation['id']}: no picture {annotation.get('image_id')!r} in 'images'"
        )
    return row


def _finite(coco: CocoFile, annotation: dict[str, Any], key: str, length: int) -> NDArray[np.float64]:
    values = annotation.get(key)
    array = finite_numbers(values, length)
    if array is None:
        got = f"{len(values)} values" if isinstance(values, list) and len(values) != length else repr(values)
        mend = "; write 0, 0, 0 for an unlabelled joint" if key == "keypoints" else ""
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


def _labelled_inside(coco: CocoFile, keypoints: NDArray[np.float32], size_wh: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return the visibility (N, K), 0 for labels outside their picture."""
    xy, visible = keypoints[..., :2], keypoints[..., 2]
    strange = np.argwhere(~np.isin(visible, (0, 1, 2)))
    if len(strange):
        person, joint = strange[0]
        raise InputError(
            f"{coco.path}: {len(strange)} joints have a visibility other than 0, 1 or 2, the first is "
            f"{visible[person, joint]:g} at {xy[person, joint].tolist()} (joint {coco.category['keypoints'][joint]})"
        )
    limit = size_wh[:, None, :] - 1 + _OUTSIDE_TOLERANCE_PX
    inside = ((xy >= -_OUTSIDE_TOLERANCE_PX) & (xy <= limit)).all(axis=-1)
    outside = (visible > 0) & ~inside
    if outside.any():
        log.warning("%s: %d labels are outside their picture and count as unlabelled", coco.path, int(outside.sum()))
    return np.where(inside, visible, 0).astype(np.uint8)
