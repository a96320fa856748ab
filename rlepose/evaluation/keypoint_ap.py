"""COCO's keypoint evaluation on flat arrays: the metrics of pycocotools without its loops.

A pose can match a person only at an OKS of 0.5 or more, and few pairs in a picture reach it. So the OKS of all pairs is
computed at once, and the greedy matching only considers these few: first the best pose of every picture, then the
second of every picture, and so on, each time for all area ranges and OKS thresholds together.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlepose.evaluation.oks import in_blocks
from rlepose.evaluation.results import CocoResults
from rlepose.evaluation.truth import CocoTruth
from rlepose.pose.geometry import Floats

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # OKS
RECALLS = np.linspace(0, 1, 101)
# all, medium and large persons: px², bounds included
AREA_RANGES = np.array([(0, 1e5**2), (32**2, 96**2), (96**2, 1e5**2)], float)
MAX_POSES = 20  # per picture

Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]


class Pairs(NamedTuple):
    """P pairs of a person and a pose in the same picture: their rows, and their OKS."""

    person: Indices
    pose: Indices
    oks: Floats

    def take(self, pairs: Indices | Bools | slice) -> "Pairs":
        return Pairs(self.person[pairs], self.pose[pairs], self.oks[pairs])


def keypoint_ap(truth: CocoTruth, results: CocoResults, oks_sigmas: Floats) -> Floats:
    """Return AP, AP50, AP75, APM, APL, AR, AR50, AR75, ARM, ARL: (10,), NaN if undefined."""
    poses, image_index, rank = _best_of_each_picture(truth, results)
    counted = ~(truth.crowd | ~truth.labelled.any(axis=1))[:, None] & _in_range(truth.area)
    pairs = similar_pairs(truth, poses.joints[..., :2], image_index, oks_sigmas)
    hit, ignored = _match(pairs, rank, counted, truth.crowd)
    # An unmatched pose counts as false only in area ranges that contain its own area.
    wrong = ~hit & ~ignored & _in_range(poses.area)[..., None]
    order = np.argsort(-poses.scores, kind="stable")
    precision, recall = _precision_and_recall(hit[order], wrong[order], counted.sum(axis=0))
    at_50, at_75 = 0, 5
    return np.array(
        [
            *(values.mean() for values in (precision[0], precision[0, at_50], precision[0, at_75], *precision[1:])),
            *(values.mean() for values in (recall[0], recall[0, at_50], recall[0, at_75], *recall[1:])),
        ]
    )


def _in_range(area: Floats) -> Bools:
    """Return whether areas (N,) px² are in each range: (N, 3)."""
    return (area[:, None] >= AREA_RANGES[:, 0]) & (area[:, None] <= AREA_RANGES[:, 1])


def _best_of_each_picture(truth: CocoTruth, results: CocoResults) -> tuple[CocoResults, Indices, Indices]:
    """Return the poses that count, by picture and descending score, with the row of the picture and their rank in it.

    Poses with equal scores keep the order of the results, which decides the matching.
    """
    image_index = np.searchsorted(truth.image_ids, results.image_ids)
    order = np.lexsort((-results.scores, image_index))
    image_index = image_index[order]
    rank = np.arange(len(order)) - np.searchsorted(image_index, image_index)
    best = rank < MAX_POSES
    return results.select(order[best]), image_index[best], rank[best]


def similar_pairs(truth: CocoTruth, keypoints: Floats, image_index: Indices, oks_sigmas: Floats) -> Pairs:
    """Return pairs whose OKS reaches the lowest threshold. keypoints: (D, K, 2) px. image_index: (D,), pictures."""
    person, pose = of_same_picture(truth.image_index, image_index)
    labels = truth.labelled.sum(axis=1)[person]
    found = []
    # Grouped by number of labels: unlabelled joints are not computed, and sums are in the same order as in pycocotools.
    for number in np.unique(labels):
        same = np.flatnonzero(labels == number)
        for block in in_blocks(same):
            oks = _oks(truth, person[block], keypoints[pose[block]], int(number), oks_sigmas)
            pairs = Pairs(person[block], pose[block], oks)
            found.append(pairs.take(oks >= THRESHOLDS[0]))
    if not found:
        return Pairs(person, pose, np.zeros(0))
    return Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))


def of_same_picture(persons: NDArray[np.integer], poses: NDArray[np.integer]) -> tuple[Indices, Indices]:
    """Return the rows of the P pairs in the same picture. persons (G,): pictures, ascending; poses (D,): pictures."""
    first, end = (np.searchsorted(persons, poses, side) for side in ("left", "right"))
    count = end - first
    pose = np.repeat(np.arange(len(count)), count)
    return np.arange(len(pose)) + np.repeat(first - (np.cumsum(count) - count), count), pose


def _oks(truth: CocoTruth, person: Indices, keypoints: Floats, labels: int, oks_sigmas: Floats) -> Floats:
    """Return the OKS (P,) of poses (P, K, 2) with persons who have `labels` labelled joints.

    For a person without labels, the distance is that to the box, extended by its size in each direction.
    """
    if labels:
        joint = np.nonzero(truth.labelled[person])[1].reshape(-1, labels)
        row = np.arange(len(person))[:, None]
        offset = keypoints[row, joint] - truth.keypoints[person[:, None], joint]
    else:
        joint = np.arange(len(oks_sigmas))[None]
        corner, size = np.split(truth.bbox_xywh[person, None], 2, axis=-1)
        offset = np.maximum(0, corner - size - keypoints) + np.maximum(0, keypoints - (corner + size * 2))
    squared_distance = np.square(offset[..., 0]) + np.square(offset[..., 1])
    area = truth.area[person, None] + np.spacing(1)
    similarity = np.exp(-(squared_distance / np.square(oks_sigmas * 2)[joint] / area / 2))
    return similarity.sum(axis=1) / similarity.shape[1]


def _match(pairs: Pairs, rank: Indices, counted: Bools, crowd: Bools) -> tuple[Bools, Bools]:
    """Return which of D poses match a counted person, and which an ignored one: two (D, 3 areas, 10 thresholds).

    Of the free persons that are similar enough, a pose matches the most similar counted one, else the most similar
    ignored one; of equal ones the last. A crowd is always free. rank (D,), counted (G, 3), crowd (G,).
    """
    shape = (len(AREA_RANGES), len(THRESHOLDS))
    hit, ignored = np.zeros((2, len(rank), *shape), np.bool_)
    taken = np.zeros((len(counted), *shape), np.bool_)
    pairs = pairs.take(np.lexsort((pairs.person, pairs.oks, pairs.pose, rank[pairs.pose])))
    for turn in np.split(np.arange(len(pairs.oks)), np.searchsorted(rank[pairs.pose], range(1, MAX_POSES))):
        if not len(turn):
            continue
        person, pose, oks = pairs.take(turn)
        possible = (oks[:, None, None] >= THRESHOLDS) & (~taken[person] | crowd[person, None, None])
        # The pairs of a pose are adjacent, with ascending similarity: the last is the best, and counted ones win.
        number = np.arange(len(turn))[:, None, None] + len(turn) * counted[person, :, None]
        starts = np.flatnonzero(np.diff(pose, prepend=-1))
        best = np.maximum.reduceat(np.where(possible, number, -1), starts)
        row, area, threshold = np.nonzero(best >= 0)
        taken[person[best[row, area, threshold] % len(turn)], area, threshold] = True
        hit[pose[starts]] = best >= len(turn)
        ignored[pose[starts]] = (best >= 0) & (best < len(turn))
    return hit, ignored


def _precision_and_recall(hit: Bools, wrong: Bools, persons: Indices) -> tuple[Floats, Floats]:
    """Return precision at each of RECALLS (3, 10, 101) and maximum recall (3, 10) for poses by descending score.

    hit, wrong: (D, 3, 10). persons: (3,), number of persons; NaN if 0. The precision at a recall is the maximum at this
    or a larger recall, 0 if none is reached.
    """
    precision = np.zeros((*hit.shape[1:], len(RECALLS)))
    recall = hit.sum(axis=0) / np.where(persons, persons, np.nan)[:, None]
    for area, threshold in np.ndindex(recall.shape):
        if not persons[area]:
            precision[area, threshold] = np.nan
            continue
        # Precision has its maxima, and recall increases, only at hits, so nothing else is needed.
        hits = np.flatnonzero(hit[:, area, threshold])
        true, false = np.arange(1, len(hits) + 1), np.cumsum(wrong[:, area, threshold])[hits]
        best = np.maximum.accumulate((true / (false + true + np.spacing(1)))[::-1])[::-1]
        reached = np.searchsorted(true / persons[area], RECALLS)
        reached = reached[reached < len(hits)]
        precision[area, threshold, : len(reached)] = best[reached]
    return precision, recall
