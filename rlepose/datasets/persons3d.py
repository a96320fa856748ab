"""Persons with a depth label and a calibrated camera, as flat arrays."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlepose.camera import back_project, project
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.geometry import Floats, clip_boxes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Person3DTable(PersonTable):
    """A PersonTable whose keypoints are projections of joints in space.

    depth      (N, K)  mm, how much farther from the camera than the root joint
    root_depth (N,)    mm, the root's z in the camera's frame
    focal      (N, 2)  px
    principal  (N, 2)  px, where the optical axis meets the picture
    subject    (N,)    the actor's number
    action     (N,)    name of what is done
    """

    depth: NDArray[np.float32]
    root_depth: NDArray[np.float32]
    focal: NDArray[np.float32]
    principal: NDArray[np.float32]
    subject: NDArray[np.int64]
    action: NDArray[np.str_]

    def joints_mm(self) -> Floats:
        """The labelled joints in the camera's frame: (N, K, 3) mm."""
        return self.in_space(self.keypoints, self.depth)

    def in_space(self, keypoints: ArrayLike, depth: ArrayLike) -> Floats:
        """Predictions in the camera's frame, with the labelled depth of the root, as the RLE authors evaluate.

        keypoints (N, K, 2) px in the picture, depth (N, K) mm relative to the root -> (N, K, 3) mm.
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
    """A table of N pictures with one person each, every joint labelled.

    joints (N, K, 3) mm in the camera's frame, root the index of the root joint, the rest as the table's fields. Boxes
    are cut at the picture's border, and persons whose box is then empty are left out with a warning.
    """
    boxes = clip_boxes(bbox_xywh, image_size_wh)
    table = Person3DTable(
        image_root=Path(image_root),
        person_ids=np.asarray(ids, np.int64),
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
    log.warning("%s: %d persons are left out: their box has no inside", image_root, int((~inside).sum()))
    return table.select(inside)


def check_subjects(train: Person3DTable, test: Person3DTable) -> None:
    """InputError where a person to test on is also in the training set: the numbers would flatter."""
    shared = np.intersect1d(train.subject, test.subject)
    if len(shared):
        raise InputError(
            f"data.train_annotations has the subjects {', '.join(map(str, shared))} of data.val_annotations; "
            "test on people who are not in the training file"
        )
