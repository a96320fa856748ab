"""Object keypoint similarity, and suppression of duplicate poses."""

import numpy as np
from numpy.typing import NDArray

from rlepose.pose.geometry import Floats

BLOCK = 4096


def oks_of_pairs(first: Floats, first_area: Floats, second: Floats, second_area: Floats, oks_sigmas: Floats) -> Floats:
    """Return the OKS of pairs of poses over all joints, scaled by the mean of both areas.

    first, second: (N, K, 2) px. first_area, second_area: (N,) px². oks_sigmas: (K,). -> (N,) in [0, 1].
    COCO's definition (cocodataset.org, keypoint evaluation): mean of exp(−d² / (2 · area · (2 sigma)²)).
    """
    offset = first - second
    squared_distance = np.square(offset[..., 0]) + np.square(offset[..., 1])
    mean_area = (first_area + second_area) / 2 + np.spacing(1)
    return np.exp(-squared_distance / (2 * mean_area[..., None] * np.square(2 * oks_sigmas))).mean(axis=-1)


def in_blocks(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Split rows into blocks whose arrays fit into a processor's cache, which halves the time and limits memory."""
    return np.split(rows, range(BLOCK, len(rows), BLOCK))


def oks_with_label(
    keypoints: Floats, truth: Floats, visible: NDArray[np.integer], areas: Floats, oks_sigmas: Floats
) -> Floats:
    """Return the OKS of each pose with its label, over labelled joints, as in COCO's evaluation.

    keypoints, truth: (N, K, 2) px. visible: (N, K), with at least one label per person. areas: (N,) px². oks_sigmas:
    (K,). -> (N,) in [0, 1].
    """
    labelled = visible > 0
    similarity = joint_similarity(keypoints, truth, areas, oks_sigmas)
    return (similarity * labelled).sum(axis=1) / labelled.sum(axis=1)


def joint_similarity(keypoints: Floats, truth: Floats, areas: Floats, oks_sigmas: Floats) -> Floats:
    """Return the joint similarities whose mean is OKS: (N, K) in [0, 1], 1 at the label. See `oks_with_label`."""
    squared_distance = np.square(keypoints - truth).sum(axis=-1)
    return np.exp(-squared_distance / (2 * (areas + np.spacing(1))[:, None] * np.square(2 * oks_sigmas)))


def oks_nms(
    keypoints: Floats,
    scores: Floats,
    areas: Floats,
    image_ids: NDArray[np.integer],
    oks_sigmas: Floats,
    threshold: float,
) -> NDArray[np.intp]:
    """Drop each pose whose OKS with a higher-scored pose kept in the same picture is above `threshold`.

    keypoints: (N, K, 2) px. scores: (N,). areas: (N,) px². image_ids: (N,). -> indices of the kept poses, ascending.
    """
    # Stable sorts: by descending score, then by picture.
    order = np.lexsort((-scores, image_ids))
    keypoints, areas, image_ids = keypoints[order], areas[order], image_ids[order]
    similar: list[NDArray[np.intp]] = []
    # Pairs in the same picture, by their distance in this order.
    for step in range(1, len(order)):
        rows = np.flatnonzero(image_ids[:-step] == image_ids[step:])
        if not len(rows):
            break
        for first in in_blocks(rows):
            second = first + step
            similarity = oks_of_pairs(keypoints[first], areas[first], keypoints[second], areas[second], oks_sigmas)
            above = similarity > threshold
            similar.append(np.stack([first[above], second[above]], axis=1))
    pairs = np.concatenate([np.zeros((0, 2), np.intp), *similar])
    kept = np.ones(len(order), np.bool_)
    # Better poses first: a pose must be known to be kept before it can suppress another.
    for better, worse in pairs[np.argsort(pairs[:, 0], kind="stable")].tolist():
        if kept[better]:
            kept[worse] = False
    return np.sort(order[kept])
