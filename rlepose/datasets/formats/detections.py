"""Read given boxes, such as a detector's, into a PersonTable without labels."""

import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.category_groups import CategoryGroup
from rlepose.datasets.formats.box_reader import CocoIds, read_boxes
from rlepose.datasets.formats.box_table import NO_CATEGORY, BoxTable, PictureKey
from rlepose.datasets.formats.coco import person_table
from rlepose.datasets.formats.coco_file import Pictures
from rlepose.datasets.formats.file_names import ByFileName
from rlepose.datasets.persons import PersonTable, counted
from rlepose.errors import InputError
from rlepose.pose.geometry import clip_boxes

log = logging.getLogger(__name__)


def persons_from_detections(
    pictures: Pictures, image_root: str | Path, path: str | Path, groups: Sequence[CategoryGroup], clip: bool = True
) -> PersonTable:
    """Return the boxes of these groups' categories from a file that `read_boxes` reads, without labels.

    clip: clip boxes like annotated ones, at the picture's border and by one pixel. Boxes of other categories, in other
    pictures and outside the picture are left out, and counted by reason in the log and in the table; a box without a
    category belongs to the only group. InputError for invalid entries, and if no box remains.
    """
    named = [zip(group.category_ids, group.category_names, strict=True) for group in groups]
    categories = dict(itertools.chain.from_iterable(named))
    boxes = read_boxes(Path(path), CocoIds(pictures.path, ByFileName({}), categories, categories))
    keys = _keys(pictures)
    boxes.check_pictures(len(keys), film=False)
    unused = boxes.unused(keys)
    category_ids = _category_ids(boxes, groups)
    found = [boxes.of_picture(key) for key in keys]
    of_picture, unlisted = [here for here, _ in found], [problem for _, problem in found if problem]
    rows = np.array([row for here in of_picture for row in here], np.intp)
    image_index = np.repeat(np.arange(len(keys)), [len(here) for here in of_picture])
    order = np.argsort(boxes.entries[rows], kind="stable")
    of_category = np.isin(category_ids[rows[order]], list(categories))
    left_out = Counter(boxes.left_out)
    left_out.update(f"of category {category}" for category in category_ids[rows[order[~of_category]]].tolist())
    left_out["in another picture"] = len(unused)
    chosen, image_rows = rows[order[of_category]], image_index[order[of_category]]
    pictures.require(dict.fromkeys(image_rows.tolist()))
    given = boxes.bbox_xywh[chosen]
    bbox_xywh = (clip_boxes(given, pictures.size_wh[image_rows]) if clip else given).astype(np.float32)
    inside = (bbox_xywh[:, 2:] > 0).all(axis=1)
    left_out["outside the picture"] = int((~inside).sum())
    chosen, image_rows, bbox_xywh = chosen[inside], image_rows[inside], bbox_xywh[inside]
    wanted, counts = ", ".join(map(str, sorted(categories))), counted(left_out)
    if not len(chosen):
        raise InputError(
            f"{path}: no box is of category {wanted} in a picture of {pictures.path} (left out: {counts}); correct "
            "category_id and image_id, or give the detections of these pictures"
        )
    log.info("%s: %d boxes of category %s; left out: %s", path, len(chosen), wanted, counts)
    if unused:
        first = f"entry {boxes.entries[unused[0]]} is in picture {boxes.picture_of(unused[0])}"
        log.warning("%s: %d boxes are in other pictures; %s", path, len(unused), first)
    if unlisted:
        log.warning("%s: no boxes for %d of %d pictures: %s", path, len(unlisted), len(keys), unlisted[0])
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
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def _keys(pictures: Pictures) -> list[PictureKey]:
    """Return the keys of the pictures in the file's order, numbered in the order of names."""
    paths = [Path(name) for name in pictures.file_names]
    numbers = np.argsort(np.array(sorted(range(len(paths)), key=paths.__getitem__), np.intp))
    return [
        PictureKey(str(path), image["id"], int(number))
        for path, image, number in zip(paths, pictures.images, numbers, strict=True)
    ]


def _category_ids(boxes: BoxTable, groups: Sequence[CategoryGroup]) -> NDArray[np.int64]:
    """Return (N,) category ids of the groups: as given, else the id of the only group, also if the only category given
    has another number."""
    known = [identity for group in groups for identity in group.category_ids]
    given = set(boxes.category_ids.tolist())
    unsaid = np.flatnonzero(boxes.category_ids == NO_CATEGORY)
    if len(unsaid) and len(groups) > 1:
        entry = boxes.entries[unsaid[0]]
        raise InputError(f"{boxes.source}: entry {entry} has no category_id, which determines its joints; add it")
    if len(given) == len(known) == 1 or given <= {NO_CATEGORY}:
        return np.full(len(boxes), known[0], np.int64)
    return np.where(boxes.category_ids == NO_CATEGORY, known[0], boxes.category_ids)
