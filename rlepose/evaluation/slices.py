"""Subsets of a benchmark with metrics of their own: joints of a body region, pictures by crowding.

COCO-WholeBody (Jin et al., ECCV 2020; evaluation/myeval_wholebody.py of github.com/jin-s13/COCO-WholeBody): the OKS of
a region uses its joints and constants, relative to the whole person's area; persons without a label in the region are
ignored. A pose has one score for all regions, the whole body's, and one area, the one of the body's 17 joints, by
which it counts as medium or large if unmatched.

CrowdPose (Li et al., CVPR 2019; crowdposetools/cocoeval.py of github.com/Jeff-sjtu/CrowdPose): pictures are easy,
medium or hard by their crowd index, the mutual overlap of persons: below 0.2, below 0.8, or above. Each class is
evaluated as if there were no other pictures.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.evaluation.results import CocoResults
from rlepose.evaluation.truth import CocoTruth
from rlepose.pose.geometry import Floats
from rlepose.pose.joint_sets import WHOLEBODY, WHOLEBODY_PARTS

# Upper limit of the crowd index for each class.
CROWDING = {"easy": 0.2, "medium": 0.8, "hard": np.inf}


class Slice(NamedTuple):
    """A subset to evaluate: name, persons and poses with the same joints, and the OKS constants of these joints."""

    name: str
    truth: CocoTruth
    results: CocoResults
    oks_sigmas: Floats


def crowd_index(coco: CocoFile) -> Floats | None:
    """Return the crowd index of each picture of `CocoTruth.image_ids`, or None if a picture lacks it."""
    values = {image["id"]: image.get("crowdIndex") for image in coco.images}
    if not all(isinstance(value, int | float) for value in values.values()):
        return None
    return np.array([values[identity] for identity in sorted(values)], float)


def area_joints(names: Sequence[str]) -> Sequence[int]:
    """Return the joints whose bounding box is a pose's area: the body's for COCO-WholeBody, else all. names: (K,)."""
    return WHOLEBODY_PARTS["body"] if _are_wholebody(names) else range(len(names))


def slices(
    names: Sequence[str], truth: CocoTruth, results: CocoResults, oks_sigmas: Floats, crowding: Floats | None
) -> Iterator[Slice]:
    """Yield the subsets of the benchmark with these joints and pictures; most benchmarks have none.

    names: (K,), the joints. oks_sigmas: (K,). crowding: from `crowd_index`.
    """
    if _are_wholebody(names):
        for part, joints in WHOLEBODY_PARTS.items():
            yield Slice(part, truth.with_joints(joints), results.with_joints(joints), oks_sigmas.take(joints))
    if crowding is not None:
        below = -np.inf
        for name, limit in CROWDING.items():
            pictures = (crowding >= below) & (crowding < limit)
            poses = np.isin(results.image_ids, truth.image_ids[pictures])
            yield Slice(name, truth.with_pictures(pictures), results.select(poses), oks_sigmas)
            below = limit


def _are_wholebody(names: Sequence[str]) -> bool:
    return tuple(names) == WHOLEBODY.names
