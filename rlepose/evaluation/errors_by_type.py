"""Classify the error of each joint (Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance Pose
Estimation, ICCV 2017, section 3.1).

A joint is classified by its similarity, exp(−d² / (2 · area · (2 oks_sigma)²)), with labels:

    good        at least 0.85 with its own label
    jitter      at least 0.5 with its own label
    inversion   less than that, but at least 0.5 with the label of its mirror twin of the same person
    swap        the same with the label of the joint or its twin of another person in the picture
    miss        none of these

If both inversion and swap apply, the more similar label decides, as in the authors' code. That code also counts a joint
as swap or inversion if another label is more similar than its own, however similar its own is; here, as in the paper,
the own label comes first.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rlepose.evaluation.keypoint_ap import of_same_picture
from rlepose.evaluation.oks import joint_similarity
from rlepose.pose.geometry import Floats

ErrorType = Literal["good", "jitter", "inversion", "swap", "miss"]
ERROR_TYPES: tuple[ErrorType, ...] = get_args(ErrorType)
_GOOD, _JITTER, _INVERSION, _SWAP, _MISS = range(len(ERROR_TYPES))
UNLABELLED = -1

GOOD_SIMILARITY, NEAR_SIMILARITY = 0.85, 0.5


def error_types(
    keypoints: Floats,
    truth: Floats,
    visible: NDArray[np.integer],
    areas: Floats,
    image_index: NDArray[np.integer],
    oks_sigmas: Floats,
    flip_permutation: tuple[int, ...],
) -> NDArray[np.int8]:
    """Return the error type of each joint of N persons, who must be all labelled persons of their pictures.

    keypoints, truth: (N, K, 2) px. visible: (N, K). areas: (N,) px². image_index: (N,), the persons' pictures, in any
    order. oks_sigmas: (K,). -> (N, K), index in ERROR_TYPES, or UNLABELLED.
    """
    labelled, twin = visible > 0, list(flip_permutation)
    own = joint_similarity(keypoints, truth, areas, oks_sigmas)
    mirrored = joint_similarity(keypoints, truth[:, twin], areas, oks_sigmas) * labelled[:, twin]
    others = _similarity_with_others(keypoints, truth, labelled, areas, image_index, oks_sigmas, twin)
    return np.select(
        [
            ~labelled,
            own >= GOOD_SIMILARITY,
            own >= NEAR_SIMILARITY,
            (mirrored >= NEAR_SIMILARITY) & (mirrored >= others),
            others >= NEAR_SIMILARITY,
        ],
        [UNLABELLED, _GOOD, _JITTER, _INVERSION, _SWAP],
        _MISS,
    ).astype(np.int8)


def count_types(types: NDArray[np.int8]) -> NDArray[np.int64]:
    """Count the types of each joint: (N, K) -> (K, len(ERROR_TYPES)); rows sum to the number of labels."""
    return (types[..., None] == np.arange(len(ERROR_TYPES))).sum(axis=0)


def corrected(keypoints: Floats, truth: Floats, types: NDArray[np.int8], *mistakes: ErrorType) -> Floats:
    """Return the poses with all joints of these types moved to their labels: (N, K, 2).

    The authors' code only moves a joint as close as the next better type.
    """
    wrong = np.isin(types, [ERROR_TYPES.index(mistake) for mistake in mistakes])
    return np.where(wrong[..., None], truth, keypoints)


def _similarity_with_others(
    keypoints: Floats,
    truth: Floats,
    labelled: NDArray[np.bool_],
    areas: Floats,
    image_index: NDArray[np.integer],
    oks_sigmas: Floats,
    twin: list[int],
) -> Floats:
    """Return each joint's largest similarity with the joint and its twin of other persons: (N, K), 0 without any."""
    order = np.argsort(image_index, kind="stable")
    other, person = of_same_picture(image_index[order], image_index)
    other = order[other]
    other, person = other[other != person], person[other != person]
    best = np.zeros(labelled.shape)
    for joints in (slice(None), twin):
        similarity = joint_similarity(keypoints[person], truth[other][:, joints], areas[other], oks_sigmas)
        np.maximum.at(best, person, similarity * labelled[other][:, joints])
    return best
