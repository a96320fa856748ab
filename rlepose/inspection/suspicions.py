"""Find labels that are probably wrong, from implausible bodies and boxes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.persons import PersonTable
from rlepose.inspection.repeats import repeated_labels
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton

_OUTSIDE = 0.1  # relative to the box's longer side
_LARGEST_AREA, _LEAST_AREA = 1.1, 0.01  # relative to the box's; of COCO's persons, 0.16 to 0.95
_TOO_LONG = 1.5  # relative to the 95 % quantile of this bone's length
_BONES_TO_KNOW = 20  # minimum number of labels to estimate the usual length of a bone
_SAME_PX = 0.5
_WIDE = 0.15  # relative to the box's longer side: narrower shoulders and hips may cross in a rotated body


@dataclass(frozen=True)
class Suspicion:
    """A suspicious label: the suspicion's name, the annotation's id, and a description."""

    name: str
    annotation: int
    what: str


def suspicions(coco: CocoFile, table: PersonTable, skeleton: Skeleton) -> list[Suspicion]:
    """Return all suspicious labels of a file; `table` has the persons that training uses."""
    return [
        *_boxes_without_inside(coco),
        *areas_unlike_boxes(coco),
        *_joints_outside_boxes(table, skeleton),
        *_duplicates(table),
        *_swapped_limbs(table, skeleton),
        *_crossed_torsos(table, skeleton),
    ]


def _boxes_without_inside(coco: CocoFile) -> Iterator[Suspicion]:
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco.images}
    for annotation in coco.annotations:
        x, y, width, height = box = annotation.get("bbox") or [0, 0, 0, 0]
        picture = sizes.get(annotation.get("image_id"))
        if width <= 1 or height <= 1:
            yield Suspicion("empty box", annotation["id"], f"the box is {box}")
        elif picture and (x >= picture[0] or y >= picture[1] or x + width <= 0 or y + height <= 0):
            yield Suspicion("box outside", annotation["id"], f"the box {box} is outside the picture of {picture} px")


def areas_unlike_boxes(coco: CocoFile) -> Iterator[Suspicion]:
    """Find areas that no segment inside their box has; boxes that were made of joints say nothing."""
    for annotation in coco.annotations:
        area, box = annotation.get("area") or 0, annotation.get("bbox")
        if not box or area <= 0 or annotation.get("iscrowd") or annotation["id"] in coco.made_boxes:
            continue
        width, height = box[2:]
        if min(width, height) <= 1:
            continue
        whole = width * height
        if area > _LARGEST_AREA * whole + width + height or area < _LEAST_AREA * whole:
            what = f"the area is {area:g} px², the box has {whole:g}"
            yield Suspicion("area unlike its box", annotation["id"], what)


def _joints_outside_boxes(table: PersonTable, skeleton: Skeleton) -> Iterator[Suspicion]:
    low, size = table.bbox_xywh[:, None, :2], table.bbox_xywh[:, None, 2:]
    beyond = np.maximum(low - table.keypoints, table.keypoints - low - size).max(axis=-1) / size.max(axis=-1)
    for person, joint in np.argwhere((beyond > _OUTSIDE) & (table.visible > 0)):
        what = f"{skeleton.names[joint]} is {beyond[person, joint]:.0%} of the box's longer side outside the box"
        yield Suspicion("joint outside its box", int(table.person_ids[person]), what)


def _duplicates(table: PersonTable) -> Iterator[Suspicion]:
    for group in repeated_labels(table):
        first, *others = group
        for other in others:
            both = (table.visible[first] > 0) & (table.visible[other] > 0)
            apart = np.abs(table.keypoints[first] - table.keypoints[other])[both]
            if both.any() and apart.max() < _SAME_PX:
                what = f"the same box and joints as annotation {table.person_ids[first]}"
                yield Suspicion("duplicate", int(table.person_ids[other]), what)


def _swapped_limbs(table: PersonTable, skeleton: Skeleton) -> Iterator[Suspicion]:
    """Find pairs whose bones are too long as labelled, but not if left and right are swapped."""
    bones = np.array(skeleton.bones, np.int64).reshape(-1, 2)
    size = table.bbox_xywh[:, 2:].max(axis=1, keepdims=True)
    labelled = (table.visible[:, bones] > 0).all(axis=-1)
    relative = np.where(labelled, _bone_lengths(table.keypoints, bones) / size, 0)
    enough = labelled.sum(axis=0) >= _BONES_TO_KNOW
    usual = np.array(
        [np.quantile(lengths[there], 0.95) if known else np.inf
         for lengths, there, known in zip(relative.T, labelled.T, enough, strict=True)]
    )  # fmt: skip
    for left, right in skeleton.flip_pairs:
        touching = np.isin(bones, (left, right)).any(axis=1)
        if not touching.any():
            continue
        order = np.arange(len(skeleton))
        order[[left, right]] = right, left
        if_swapped = np.where(labelled, _bone_lengths(table.keypoints[:, order], bones) / size, 0)
        both = (table.visible[:, [left, right]] > 0).all(axis=1)
        excess, excess_swapped = ((values / usual)[:, touching].max(axis=1) for values in (relative, if_swapped))
        for person in np.flatnonzero(both & (excess > _TOO_LONG) & (excess_swapped < 1)):
            what = (
                f"the bones of {skeleton.names[left]} and {skeleton.names[right]} are up to {excess[person]:.1f} times "
                "as long as usual, but not if both are swapped"
            )
            yield Suspicion("swapped sides", int(table.person_ids[person]), what)


def _bone_lengths(keypoints: Floats, bones: NDArray[np.int64]) -> Floats:
    """Return the lengths of bones, px (N, bones)."""
    ends = keypoints[:, bones]
    return np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1)


def _crossed_torsos(table: PersonTable, skeleton: Skeleton) -> Iterator[Suspicion]:
    """Find bodies whose left and right flanks cross although shoulders and hips are wide."""
    found = [skeleton.find(f"{side}_{part}") for side in ("left", "right") for part in ("shoulder", "hip")]
    corners = [corner for corner in found if corner is not None]
    if len(corners) < 4:
        return
    points = table.keypoints[:, corners].astype(float)
    left_shoulder, left_hip, right_shoulder, right_hip = points.transpose(1, 0, 2)
    size = table.bbox_xywh[:, 2:].max(axis=1)
    shoulders, hips = left_shoulder - right_shoulder, left_hip - right_hip
    wide = np.minimum(np.linalg.norm(shoulders, axis=1), np.linalg.norm(hips, axis=1)) > _WIDE * size
    opposite = (shoulders * hips).sum(axis=1) < 0
    cross = _segments_cross(left_shoulder, left_hip, right_shoulder, right_hip)
    labelled = (table.visible[:, corners] > 0).all(axis=1)
    for person in np.flatnonzero(labelled & wide & opposite & cross):
        what = "the lines from shoulder to hip of both sides cross; shoulders or hips may be swapped"
        yield Suspicion("swapped sides", int(table.person_ids[person]), what)


def _segments_cross(a: Floats, b: Floats, c: Floats, d: Floats) -> NDArray[np.bool_]:
    """Return whether the segments a – b and c – d cross: (N, 2) each -> (N,)."""

    def side(p: Floats, q: Floats, r: Floats) -> Floats:
        return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])

    return (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
