"""Normalised mean error (NME): how far joints are from their labels, relative to a length of the person.

A person's NME is the mean distance between its labelled joints and their labels, divided by the person's reference
length. NME without further words is the mean over persons: each person weighs alike, however many labels it has.

The cumulative curve gives the share of persons whose NME is at most x. AUC@t is the curve's mean from 0 to t, computed
exactly: the curve is a step function, so its integral needs no grid. failures@t is the share of persons above t.
"""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.category_groups import CategoryGroup
from rlepose.errors import InputError
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton

# Where AUC and failures are given, in reference lengths.
NME_THRESHOLDS = (0.08, 0.1)
# Names of the metrics. NME and failures are better the lower they are.
NME_ERRORS = ("NME", *(f"NME_failures@{t:g}" for t in NME_THRESHOLDS))
NME_METRICS = ("NME", *(f"NME_AUC@{t:g}" for t in NME_THRESHOLDS), *(f"NME_failures@{t:g}" for t in NME_THRESHOLDS))
# How many persons have no NME; it judges nobody, so it chooses no checkpoint.
NME_LEFT_OUT = "NME_left_out"

# What `eval.nme_reference` can be.
Reference = str | tuple[str, str]


def person_errors(keypoints: Floats, truth: Floats, visible: NDArray[np.integer], length: Floats) -> Floats:
    """The NME of each person, (N,).

    keypoints and truth (N, K, 2) px; visible (N, K), 0 for a joint without label, which does not count; length (N,) px,
    the reference. NaN for a person whose length is 0 or NaN, or who has no label.
    """
    labelled = np.asarray(visible) > 0
    distance = np.linalg.norm(np.asarray(keypoints, float) - truth, axis=-1)
    total, count = np.where(labelled, distance, 0).sum(axis=1), labelled.sum(axis=1)
    measured = (count > 0) & (np.nan_to_num(length) > 0)
    return np.where(measured, total, np.nan) / np.where(measured, count * length, 1)


def cumulative_curve(errors: Floats) -> tuple[Floats, Floats]:
    """Where the cumulative curve rises, and the share of persons that it rises to: (N,) NME -> (N,) and (N,)."""
    return np.sort(errors), np.arange(1, len(errors) + 1) / len(errors)


def area_under_curve(errors: Floats, threshold: float) -> float:
    """AUC@threshold: the mean of the cumulative curve of the NME (N,) from 0 to the threshold, in [0, 1]."""
    # A person with the NME e adds a step of 1 / N that lasts from e to the threshold.
    return float(np.maximum(1 - errors / threshold, 0).mean())


def failure_rate(errors: Floats, threshold: float) -> float:
    """The share of persons whose NME (N,) is above the threshold."""
    return float((errors > threshold).mean())


@dataclass(frozen=True)
class PersonErrors:
    """The NME of N persons.

    reference: in words.
    person_ids (N,), image_ids (N,): of the data set.
    errors (N,): the NME, NaN for a person who is left out.
    left_out (N,): why a person is left out, '' for one who is not.
    """

    reference: str
    person_ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    errors: Floats
    left_out: NDArray[np.str_]

    @property
    def measured(self) -> Floats:
        """The NME of those who are not left out."""
        return self.errors[self.left_out == ""]

    def metrics(self) -> dict[str, float | None]:
        """NME_METRICS, None where everybody is left out, and NME_LEFT_OUT."""
        errors = self.measured
        metrics: dict[str, float | None] = dict.fromkeys(NME_METRICS)
        if len(errors):
            metrics["NME"] = float(errors.mean())
            for t in NME_THRESHOLDS:
                metrics[f"NME_AUC@{t:g}"] = area_under_curve(errors, t)
                metrics[f"NME_failures@{t:g}"] = failure_rate(errors, t)
        return metrics | {NME_LEFT_OUT: len(self.errors) - len(errors)}

    def reasons(self) -> str:
        """How many persons are left out and why: '2 × reference of length 0', or 'none'."""
        counts = Counter(reason for reason in self.left_out.tolist() if reason)
        return ", ".join(f"{count} × {reason}" for reason, count in counts.items()) or "none"


def reference_length(
    reference: Reference,
    skeleton: Skeleton,
    truth: Floats,
    visible: NDArray[np.integer],
    bbox_xywh: Floats,
    area: Floats,
) -> Floats:
    """The length that NME is relative to, (N,) px: NaN for a person without label of a joint that it needs.

    reference: 'box', the diagonal of bbox_xywh (N, 4) px; 'area', the square root of area (N,) px²; or two joints'
    names, the distance of these joints in truth (N, K, 2) px with visible (N, K).
    """
    if reference == "box":
        return np.linalg.norm(bbox_xywh[:, 2:], axis=1)
    if reference == "area":
        return np.sqrt(area)
    i, j = (_joint(name, skeleton) for name in reference)
    length = np.linalg.norm(np.asarray(truth[:, i], float) - truth[:, j], axis=-1)
    return np.where((visible[:, i] > 0) & (visible[:, j] > 0), length, np.nan)


def check_reference(reference: Reference | None, skeleton: Skeleton, groups: Sequence[CategoryGroup]) -> None:
    """InputError where a reference needs a joint that there is not, that not every group has, or one joint twice."""
    if not isinstance(reference, tuple):
        return
    joints = [_joint(name, skeleton) for name in reference]
    if joints[0] == joints[1]:
        raise InputError(
            f"eval.nme_reference: {' and '.join(reference)} are one joint, so their distance is 0; name two joints"
        )
    for group in groups:
        for name, joint in zip(reference, joints, strict=True):
            if joint not in group.joints:
                raise InputError(
                    f"eval.nme_reference: {name} is no joint of the category {group.name}, whose persons would have no "
                    "length; name joints that all categories have, take box or area, or choose with data.category"
                )


def describe_reference(reference: Reference) -> str:
    """The reference in words, to follow 'relative to'."""
    names = {"box": "the diagonal of the box", "area": "the square root of the area"}
    return names[reference] if isinstance(reference, str) else f"the distance between {' and '.join(reference)}"


def _joint(name: str, skeleton: Skeleton) -> int:
    joint = skeleton.find(name)
    if joint is None:
        nearest = difflib.get_close_matches(name, skeleton.names, n=3, cutoff=0)
        raise InputError(f"eval.nme_reference: there is no joint {name}; the nearest names are {', '.join(nearest)}")
    return joint
