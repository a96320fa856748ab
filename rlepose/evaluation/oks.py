"""Object keypoint similarity, and the suppression of poses that are the same person."""

import numpy as np
from numpy.typing import NDArray

from rlepose.geometry import Floats


def oks_to_many(keypoint: Floats, area: float, keypoints: Floats, areas: Floats, oks_sigmas: Floats) -> Floats:
    """OKS of one pose with N others, over all joints, with the mean of both areas as scale.

    keypoint (K, 2) px, area px², keypoints (N, K, 2), areas (N,), oks_sigmas (K,) -> (N,) in [0, 1].
    COCO's definition (cocodataset.org, keypoint evaluation): mean of exp(−d² / (2 · area · (2 sigma)²)).
    """
    squared_distance = np.square(keypoints - keypoint).sum(axis=-1)
    mean_area = (area + areas) / 2 + np.spacing(1)
    return np.exp(-squared_distance / (2 * mean_area[:, None] * np.square(2 * oks_sigmas))).mean(axis=-1)


def oks_with_label(
    keypoints: Floats, truth: Floats, visible: NDArray[np.integer], areas: Floats, oks_sigmas: Floats
) -> Floats:
    """OKS of each pose with its label, over the labelled joints, as COCO's evaluation has it.

    keypoints and truth (N, K, 2) px, visible (N, K), at least one joint a person, areas (N,) px², oks_sigmas (K,)
    -> (N,) in [0, 1].
    """
    squared_distance = np.square(keypoints - truth).sum(axis=-1)
    similarity = np.exp(-squared_distance / (2 * (areas + np.spacing(1))[:, None] * np.square(2 * oks_sigmas)))
    labelled = visible > 0
    return (similarity * labelled).sum(axis=1) / labelled.sum(axis=1)


def oks_nms(
    keypoints: Floats,
    scores: Floats,
    areas: Floats,
    image_ids: NDArray[np.integer],
    oks_sigmas: Floats,
    threshold: float,
) -> NDArray[np.intp]:
    """Drop each pose whose OKS with a higher-scored, kept pose of the same picture is above `threshold`.

    keypoints (N, K, 2) px, scores (N,), areas (N,) px², image_ids (N,) -> kept indices, ascending.
    """
    kept: list[int] = []
    # Stable sorts: by score downwards, then by picture.
    order = np.argsort(-scores, kind="stable")
    order = order[np.argsort(image_ids[order], kind="stable")]
    starts = np.flatnonzero(np.diff(image_ids[order])) + 1
    for remaining in np.split(order, starts):
        while len(remaining):
            best, rest = remaining[0], remaining[1:]
            kept.append(int(best))
            similarity = oks_to_many(keypoints[best], areas[best], keypoints[rest], areas[rest], oks_sigmas)
            remaining = rest[similarity <= threshold]
    return np.array(sorted(kept), np.intp)
