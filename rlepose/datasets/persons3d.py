"""Persons with depth labels and calibrated cameras as flat arrays."""

import dataclasses
import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.pose.camera import back_project, project
from rlepose.pose.geometry import Floats, clip_boxes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Person3DTable(PersonTable):
    """A PersonTable whose keypoints are projections of 3-D joints.

    Persons with only 2-D labels may follow those with depth; below, they have NaN, −1 as subject and '' as action.

    depth      (N, K)  mm, depth relative to the root joint; NaN for unlabelled joints
    root_depth (N,)    mm, z of the root in the camera's frame
    focal      (N, 2)  px
    principal  (N, 2)  px, the principal point
    subject    (N,)    number of the actor
    action     (N,)    name of the action
    """

    depth: NDArray[np.float32]
    root_depth: NDArray[np.float32]
    focal: NDArray[np.float32]
    principal: NDArray[np.float32]
    subject: NDArray[np.int64]
    action: NDArray[np.str_]

    @property
    def num_with_depth(self) -> int:
        """Number of persons with depth labels, who come first."""
        return int(np.isfinite(self.root_depth).sum())

    def joints_mm(self) -> Floats:
        """Return the labelled joints in the camera's frame: (N, K, 3) mm."""
        return self.in_space(self.keypoints, self.depth)

    def in_space(self, keypoints: ArrayLike, depth: ArrayLike) -> Floats:
        """Return predictions in the camera's frame, with the labelled depth of the root, as in the authors' evaluation.

        keypoints: (N, K, 2) px in the picture. depth: (N, K) mm relative to the root. -> (N, K, 3) mm.
        """
        distance = np.asarray(depth, float) + self.root_depth[:, None]
        return back_project(keypoints, distance, self.focal, self.principal)


def persons_from_joints(
    joints: Floats,
    root: int,
    focal: Floats,
    principal: Floats,
    bbox_xywh: Floats,
    subject: ArrayLike,
    action: ArrayLike,
    image_root: str | Path,
    image_files: ArrayLike,
    image_size_wh: ArrayLike,
    ids: ArrayLike,
) -> Person3DTable:
    """Build a table of N pictures with one person each and every joint labelled.

    joints: (N, K, 3) mm in the camera's frame. root: index of the root joint. For the others, see the table's fields.
    Boxes are clipped at the picture's border; persons whose box is then empty are skipped with a warning.
    """
    boxes = clip_boxes(bbox_xywh, image_size_wh)
    table = Person3DTable(
        image_root=Path(image_root),
        person_ids=np.asarray(ids, np.int64),
        category_ids=np.ones(len(joints), np.int64),
        image_index=np.arange(len(joints)),
        bbox_xywh=boxes.astype(np.float32),
        box_score=np.ones(len(joints), np.float32),
        keypoints=project(joints, focal, principal).astype(np.float32),
        visible=np.full(joints.shape[:2], 2, np.uint8),
        image_ids=np.asarray(ids, np.int64),
        image_files=np.asarray(image_files, np.str_),
        image_size_wh=np.asarray(image_size_wh, np.int32),
        depth=(joints[..., 2] - joints[:, [root], 2]).astype(np.float32),
        root_depth=joints[:, root, 2].astype(np.float32),
        focal=focal.astype(np.float32),
        principal=principal.astype(np.float32),
        subject=np.asarray(subject, np.int64),
        action=np.asarray(action, np.str_),
    )
    inside = np.asarray((boxes[:, 2:] > 0).all(axis=1))
    if inside.all():
        return table
    log.warning("%s: skipped %d persons whose box is outside the picture", image_root, int((~inside).sum()))
    left_out = dict(table.left_out) | {"box outside the picture": int((~inside).sum())}
    return dataclasses.replace(table.select(inside), left_out=left_out)


def with_2d_persons(table: Person3DTable, extra: PersonTable) -> Person3DTable:
    """Append persons with the same joints but without depth labels to a table."""
    root = Path(os.path.commonpath([table.image_root.absolute(), extra.image_root.absolute()]))
    tables = (table, extra)
    files = [[str(t.image_root.absolute().relative_to(root) / name) for name in t.image_files.tolist()] for t in tables]
    first_id = int(table.image_ids.max()) + 1  # ids from different files may collide

    def both(name: str) -> Any:
        return np.concatenate([getattr(t, name) for t in tables])

    def then(values: NDArray[Any], unknown: float | str) -> Any:
        filling = np.full((len(extra), *values.shape[1:]), unknown, values.dtype)
        return np.concatenate([values, filling])

    names = ("person_ids", "category_ids", "bbox_xywh", "box_score", "keypoints", "visible")
    return dataclasses.replace(
        table,
        **{name: both(name) for name in names},
        image_root=root,
        image_index=np.concatenate([table.image_index, extra.image_index + len(table.image_ids)]),
        image_ids=np.concatenate([table.image_ids, extra.image_ids + first_id]),
        image_files=np.array(files[0] + files[1], np.str_),
        image_size_wh=both("image_size_wh"),
        **{name: then(getattr(table, name), np.nan) for name in ("depth", "root_depth", "focal", "principal")},
        subject=then(table.subject, -1),
        action=then(table.action, ""),
        left_out=dict(Counter(table.left_out) + Counter(extra.left_out)),
    )


def check_subjects(train: Person3DTable, test: Person3DTable) -> None:
    """Raise InputError if a test subject is also in the training set, which would bias the results."""
    shared = np.intersect1d(train.subject[: train.num_with_depth], test.subject)
    if len(shared):
        raise InputError(
            f"data.train_annotations contains subjects {', '.join(map(str, shared))} of data.val_annotations; validate "
            "on subjects who are not in the training file"
        )
