"""Persons who were labelled more than once, and the precision of labels that they show."""

import numpy as np

from rlepose.datasets.persons import PersonTable
from rlepose.pose.geometry import Floats

_SAME_BOX = 0.8  # minimum intersection over union
_FEWEST = 10  # minimum number of repeats of a joint for an estimate


def repeated_labels(table: PersonTable) -> list[list[int]]:
    """Return groups of rows with nearly the same box in one picture, at least two rows each."""
    groups: list[list[int]] = []
    order = np.argsort(table.image_index, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(table.image_index[order])) + 1):
        left = rows.tolist()
        while left:
            first, *left = left
            same = [row for row in left if _overlap(table.bbox_xywh[first], table.bbox_xywh[row]) >= _SAME_BOX]
            left = [row for row in left if row not in same]
            if same:
                groups.append([first, *same])
    return groups


def estimate_oks_sigmas(table: PersonTable, area: Floats) -> tuple[list[float | None], list[int]]:
    """Estimate OKS constants from repeated labels, like COCO's: sigma² = E[d² / area] (cocodataset.org, keypoint
    evaluation), where d is the distance of a label from the true joint.

    The mean of a person's n labels replaces the true joint, so sums of squares are divided by n − 1. Identical labels
    are copies and are not counted. area: (N,) px², of the persons.
    -> for each joint, the constant, None with fewer than ten repeats; and the number of repeats, Σ (n − 1).
    """
    joints = table.visible.shape[1]
    squares, repeats = np.zeros(joints), np.zeros(joints, int)
    for group in repeated_labels(table):
        for joint in range(joints):
            rows = [row for row in group if table.visible[row, joint] > 0]
            labels = np.unique(table.keypoints[rows, joint].astype(float), axis=0)
            if len(labels) < 2:
                continue
            squares[joint] += np.square(labels - labels.mean(axis=0)).sum() / area[group].mean()
            repeats[joint] += len(labels) - 1
    sigmas = np.sqrt(squares / np.maximum(repeats, 1))
    return (
        [round(float(s), 4) if n >= _FEWEST else None for s, n in zip(sigmas, repeats, strict=True)],
        repeats.tolist(),
    )


def _overlap(first: Floats, second: Floats) -> float:
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(first[:2] + first[2:], second[:2] + second[2:])
    common = float(np.prod(np.maximum(high - low, 0)))
    return common / float(np.prod(first[2:]) + np.prod(second[2:]) - common)
