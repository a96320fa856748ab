"""Given boxes, such as a detector's, as a PersonTable without labels."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.category_groups import CategoryGroup
from rlepose.datasets.formats.box_reader import CocoIds, read_boxes
from rlepose.datasets.formats.box_table import NO_CATEGORY, BoxTable, PictureKey
from rlepose.datasets.formats.coco import image_sizes, person_table
from rlepose.datasets.formats.coco_file import Pictures
from rlepose.datasets.formats.file_names import ByFileName
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.pose.geometry import clip_boxes

log = logging.getLogger(__name__)


def persons_from_detections(
    pictures: Pictures, image_root: str | Path, path: str | Path, groups: Sequence[CategoryGroup], clip: bool = True
) -> PersonTable:
    """The boxes of these groups' categories in a file that `read_boxes` reads, without labels.

    clip: cut boxes as annotated ones are, at the picture's border and by a pixel. Boxes without an inside and on none
    of the pictures are counted and left out; one without category is of the only group. InputError for entries that are
    no boxes, and where none is left.
    """
    categories = {identity: group.name for group in groups for identity in group.category_ids}
    boxes = read_boxes(Path(path), CocoIds(pictures.path, ByFileName({}), categories))
    keys = _keys(pictures)
    boxes.check_pictures(len(keys), film=False)
    unused = boxes.unused(keys)
    category_ids = _category_ids(boxes, groups)
    of_picture = [boxes.of_picture(key)[0] for key in keys]
    rows = np.array([row for here in of_picture for row in here], np.intp)
    image_index = np.repeat(np.arange(len(keys)), [len(here) for here in of_picture])
    order = np.argsort(boxes.entries[rows], kind="stable")
    order = order[np.isin(category_ids[rows[order]], list(categories))]
    others = len(rows) - len(order)
    chosen, image_rows = rows[order], image_index[order]
    given = boxes.bbox_xywh[chosen]
    bbox_xywh = (clip_boxes(given, image_sizes(pictures)[image_rows]) if clip else given).astype(np.float32)
    inside = (bbox_xywh[:, 2:] > 0).all(axis=1)
    chosen, image_rows, bbox_xywh = chosen[inside], image_rows[inside], bbox_xywh[inside]
    log.info(
        "%s: %d boxes of category %s; left out: %d of other categories, %d on no picture of %s, %d without an inside",
        path,
        len(chosen),
        ", ".join(map(str, sorted(categories))),
        others,
        unused,
        pictures.path.name,
        int((~inside).sum()),
    )
    if not len(chosen):
        raise InputError(
            f"{path}: no box of it is in a picture of {pictures.path} (see the counts above); check the file"
        )
    num_keypoints = len({joint for group in groups for joint in group.joints})
    return person_table(
        pictures,
        image_root,
        person_ids=boxes.entries[chosen],
        category_ids=category_ids[chosen],
        image_index=image_rows,
        bbox_xywh=bbox_xywh,
        box_score=boxes.score[chosen].astype(np.float32),
        keypoints=np.zeros((len(chosen), num_keypoints, 2), np.float32),
        visible=np.zeros((len(chosen), num_keypoints), np.uint8),
    )


def _keys(pictures: Pictures) -> list[PictureKey]:
    """In the file's order, numbered in the order of names."""
    paths = [Path(image["file_name"]) for image in pictures.images]
    numbers = np.argsort(np.array(sorted(range(len(paths)), key=paths.__getitem__), np.intp))
    return [
        PictureKey(str(path), image["id"], int(number))
        for path, image, number in zip(paths, pictures.images, numbers, strict=True)
    ]


def _category_ids(boxes: BoxTable, groups: Sequence[CategoryGroup]) -> NDArray[np.int64]:
    """(N,) in the groups' numbering: as given, else the only group's. One category by another number is the same."""
    known = [identity for group in groups for identity in group.category_ids]
    given = set(boxes.category_ids.tolist())
    unsaid = np.flatnonzero(boxes.category_ids == NO_CATEGORY)
    if len(unsaid) and len(groups) > 1:
        entry = boxes.entries[unsaid[0]]
        raise InputError(f"{boxes.source}: entry {entry} has no category_id, which tells what joints it has; add it")
    if len(given) == len(known) == 1 or given <= {NO_CATEGORY}:
        return np.full(len(boxes), known[0], np.int64)
    return np.where(boxes.category_ids == NO_CATEGORY, known[0], boxes.category_ids)
