"""Ground truth for COCO's evaluation: all persons of an annotation file as arrays."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.category_groups import CategoryGroup
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.pose.geometry import Floats


@dataclass(frozen=True)
class CocoTruth:
    """The G persons of a file, including crowds and persons without labels, in M pictures.

    Ordered by picture, and within a picture as in the file.

    image_ids   (M,)       ascending, including pictures without persons
    image_index (G,)       row of the person's picture in `image_ids`
    keypoints   (G, K, 2)  px
    labelled    (G, K)     whether the joint has a label
    bbox_xywh   (G, 4)     px
    area        (G,)       px², area of the segment
    crowd       (G,)       whether this is a group of persons
    """

    image_ids: NDArray[np.int64]
    image_index: NDArray[np.int64]
    keypoints: Floats
    labelled: NDArray[np.bool_]
    bbox_xywh: Floats
    area: Floats
    crowd: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.area)

    def with_joints(self, joints: Sequence[int]) -> "CocoTruth":
        """Return the persons with only these joints, in this order, as if they had no others."""
        return replace(self, keypoints=self.keypoints.take(joints, axis=1), labelled=self.labelled.take(joints, axis=1))

    def with_pictures(self, pictures: NDArray[np.bool_]) -> "CocoTruth":
        """Return some pictures, (M,), and their persons, as if there were no others."""
        persons = pictures[self.image_index]
        return CocoTruth(
            image_ids=self.image_ids[pictures],
            image_index=(np.cumsum(pictures) - 1)[self.image_index[persons]],
            keypoints=self.keypoints[persons],
            labelled=self.labelled[persons],
            bbox_xywh=self.bbox_xywh[persons],
            area=self.area[persons],
            crowd=self.crowd[persons],
        )


def truth_of(coco: CocoFile, group: CategoryGroup | None = None) -> CocoTruth:
    """Return the persons of a file, with the data that COCO's evaluation needs and other tools often omit.

    group: only its persons, with its joints alone. All pictures stay. InputError for invalid numbers.
    """
    image_ids = np.array(sorted(image["id"] for image in coco.images), np.int64)
    row_of_image = {identity: row for row, identity in enumerate(image_ids.tolist())}
    persons = [a for a in coco.annotations if group is None or a["category_id"] in group.category_ids]
    persons.sort(key=lambda person: row_of_image[person["image_id"]])
    joints = _floats(
        coco, persons, "keypoints", 3 * coco.num_keypoints, [_joints(p, coco.num_keypoints) for p in persons]
    )
    joints = joints.reshape(-1, coco.num_keypoints, 3)
    truth = CocoTruth(
        image_ids=image_ids,
        image_index=np.array([row_of_image[person["image_id"]] for person in persons], np.int64),
        keypoints=joints[..., :2],
        labelled=joints[..., 2] > 0,
        bbox_xywh=_floats(coco, persons, "bbox", 4, [_box(person) for person in persons]),
        area=_floats(coco, persons, "area", 1, [[annotation_area(person)] for person in persons])[:, 0],
        crowd=np.array([bool(person.get("iscrowd")) for person in persons], np.bool_),
    )
    return truth if group is None else truth.with_joints(group.joints)


def annotation_area(annotation: Mapping[str, Any]) -> float:
    """Return the area in px², of the segment or, if the file has none or 0, of the box."""
    area = annotation.get("area")
    if area is not None and area > 0:
        return area
    _, _, width, height = _box(annotation)
    return width * height


def _joints(annotation: Mapping[str, Any], count: int) -> Any:
    joints = annotation.get("keypoints") or []
    unlabelled = isinstance(joints, list) and not any(joints[2::3])
    return [0] * 3 * count if unlabelled else joints


def _box(annotation: Mapping[str, Any]) -> list[float]:
    return annotation.get("bbox") or [0, 0, 0, 0]


def _floats(coco: CocoFile, persons: list[dict[str, Any]], key: str, length: int, rows: list[list[float]]) -> Floats:
    """Convert rows of `length` numbers to an array (len(rows), length); one call is five times as fast as many."""
    try:
        values = np.array(rows, float).reshape(len(rows), length)
        if np.isfinite(values).all():
            return values
    except (TypeError, ValueError, OverflowError):
        pass
    person = next(person for person, row in zip(persons, rows, strict=True) if not _are_numbers(row, length))
    raise InputError(
        f"{coco.path}: annotation {person['id']}: {key}: expected {length} finite numbers, got {person.get(key)}"
    )


def _are_numbers(row: list[float], length: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == length
        and all(isinstance(v, int | float) and abs(v) <= sys.float_info.max for v in row)
    )
