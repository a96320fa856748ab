"""The parts of a benchmark that are evaluated on their own: joints of a part of the body, pictures by their crowding.

COCO-WholeBody (Jin et al., ECCV 2020; evaluation/myeval_wholebody.py of github.com/jin-s13/COCO-WholeBody): each part's
OKS over its own joints and constants, relative to the whole person's area; who has no label of a part does not count
for it. A pose has one score, the whole body's, for all parts, and one area, its body's 17 joints', by which it
counts as medium or large where it matches nobody.

CrowdPose (Li et al., CVPR 2019; crowdposetools/cocoeval.py of github.com/Jeff-sjtu/CrowdPose): pictures are easy,
medium or hard by their crowd index, how much persons cover each other: below 0.2, below 0.8, and from there on. Each
kind is evaluated as if there were no other pictures.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.evaluation.results import CocoResults
from rlepose.evaluation.truth import CocoTruth
from rlepose.pose.geometry import Floats
from rlepose.pose.joint_sets import WHOLEBODY, WHOLEBODY_PARTS

# Below which crowd index a picture is of this kind.
CROWDING = {"easy": 0.2, "medium": 0.8, "hard": np.inf}


class Slice(NamedTuple):
    """What to evaluate: a name, persons and poses of the same joints, and these joints' OKS constants."""

    name: str
    truth: CocoTruth
    results: CocoResults
    oks_sigmas: Floats


def crowd_index(coco: CocoFile) -> Floats | None:
    """That of each picture of `CocoTruth.image_ids`, or None where a picture does not tell it."""
    values = {image["id"]: image.get("crowdIndex") for image in coco.images}
    if not all(isinstance(value, int | float) for value in values.values()):
        return None
    return np.array([values[identity] for identity in sorted(values)], float)


def area_joints(names: Sequence[str]) -> Sequence[int]:
    """Those of a pose's joints, names (K,), whose bounding box is its area: the body's of COCO-WholeBody, else all."""
    return WHOLEBODY_PARTS["body"] if _are_wholebody(names) else range(len(names))


def slices(
    names: Sequence[str], truth: CocoTruth, results: CocoResults, oks_sigmas: Floats, crowding: Floats | None
) -> Iterator[Slice]:
    """Those that the benchmark with these joints and pictures has; of most there are none.

    names (K,) of the joints, oks_sigmas (K,), crowding: of `crowd_index`.
    """
    if _are_wholebody(names):
        for part, joints in WHOLEBODY_PARTS.items():
            yield Slice(part, truth.with_joints(joints), results.with_joints(joints), oks_sigmas.take(joints))
    if crowding is not None:
        below = -np.inf
        for kind, limit in CROWDING.items():
            pictures = (crowding >= below) & (crowding < limit)
            poses = np.isin(results.image_ids, truth.image_ids[pictures])
            yield Slice(kind, truth.with_pictures(pictures), results.select(poses), oks_sigmas)
            below = limit


def _are_wholebody(names: Sequence[str]) -> bool:
    return tuple(names) == WHOLEBODY.names
