"""Normalised mean error (NME): the distance of joints from their labels, relative to a length of the person.

A person's NME is the mean distance between its joints and their labels, divided by the person's reference length. NME
without qualification is the mean over persons: each person has the same weight, whatever the number of labels.

The cumulative curve is the fraction of persons whose NME is at most x. AUC@t is the mean of the curve from 0 to t,
computed exactly: the curve is a step function, so its integral needs no grid. failures@t is the fraction of persons
above t.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.category_groups import CategoryGroup
from rlepose.errors import InputError
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton

# Thresholds of AUC and failures, in reference lengths.
NME_THRESHOLDS = (0.08, 0.1)
# Names of the metrics. For NME and failures, lower is better.
NME_ERRORS = ("NME", *(f"NME_failures@{t:g}" for t in NME_THRESHOLDS))
NME_METRICS = ("NME", *(f"NME_AUC@{t:g}" for t in NME_THRESHOLDS), *(f"NME_failures@{t:g}" for t in NME_THRESHOLDS))
# Number of persons without an NME; it cannot select a checkpoint.
NME_LEFT_OUT = "NME_left_out"

# Values of `eval.nme_reference`.
Reference = str | tuple[str, str]


def person_errors(keypoints: Floats, truth: Floats, visible: NDArray[np.integer], length: Floats) -> Floats:
    """Return the NME of each person, (N,).

    keypoints, truth: (N, K, 2) px. visible: (N, K), 0 for unlabelled joints, which are ignored. length: (N,) px, the
    reference. NaN for a person without labels, or whose length is 0 or NaN.
    """
    labelled = np.asarray(visible) > 0
    distance = np.linalg.norm(np.asarray(keypoints, float) - truth, axis=-1)
    total, count = np.where(labelled, distance, 0).sum(axis=1), labelled.sum(axis=1)
    measured = (count > 0) & (np.nan_to_num(length) > 0)
    return np.where(measured, total, np.nan) / np.where(measured, count * length, 1)


def cumulative_curve(errors: Floats) -> tuple[Floats, Floats]:
    """Return the steps of the cumulative curve: NME (N,) -> values (N,), fraction of persons at each (N,)."""
    return np.sort(errors), np.arange(1, len(errors) + 1) / len(errors)


def area_under_curve(errors: Floats, threshold: float) -> float:
    """Return AUC@threshold: the mean of the cumulative curve of the NME (N,) from 0 to the threshold, in [0, 1]."""
    # A person with NME e adds a step of 1 / N from e to the threshold.
    return float(np.maximum(1 - errors / threshold, 0).mean())


def failure_rate(errors: Floats, threshold: float) -> float:
    """Return the fraction of persons whose NME (N,) is above the threshold."""
    return float((errors > threshold).mean())


@dataclass(frozen=True)
class PersonErrors:
    """The NME of N persons.

    reference: the reference length, in words.
    person_ids (N,), image_ids (N,): ids in the data set.
    errors (N,): the NME, NaN for a skipped person.
    left_out (N,): the reason why a person is skipped, else ''.
    """

    reference: str
    person_ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    errors: Floats
    left_out: NDArray[np.str_]

    @property
    def measured(self) -> Floats:
        """The NME of persons who are not skipped."""
        return self.errors[self.left_out == ""]

    def metrics(self) -> dict[str, float | None]:
        """Return NME_METRICS, None if all persons are skipped, and NME_LEFT_OUT."""
        errors = self.measured
        metrics: dict[str, float | None] = dict.fromkeys(NME_METRICS)
        if len(errors):
            metrics["NME"] = float(errors.mean())
            for t in NME_THRESHOLDS:
                metrics[f"NME_AUC@{t:g}"] = area_under_curve(errors, t)
                metrics[f"NME_failures@{t:g}"] = failure_rate(errors, t)
        return metrics | {NME_LEFT_OUT: len(self.errors) - len(errors)}

    def reasons(self) -> str:
        """Return the numbers of skipped persons with reasons: '2 × reference of length 0', or 'none'."""
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
    """Return the reference length of NME, (N,) px: NaN for persons without a label of a joint that it needs.

    reference: 'box', the diagonal of bbox_xywh (N, 4) px; 'area', the square root of area (N,) px²; or the names of two
    joints, their distance in truth (N, K, 2) px with visible (N, K).
    """
    if reference == "box":
        return np.linalg.norm(bbox_xywh[:, 2:], axis=1)
    if reference == "area":
        return np.sqrt(area)
    i, j = (skeleton.joint(name, "eval.nme_reference") for name in reference)
    length = np.linalg.norm(np.asarray(truth[:, i], float) - truth[:, j], axis=-1)
    return np.where((visible[:, i] > 0) & (visible[:, j] > 0), length, np.nan)


def check_reference(reference: Reference | None, skeleton: Skeleton, groups: Sequence[CategoryGroup]) -> None:
    """Raise InputError if a reference needs an unknown joint, a joint that a group lacks, or the same joint twice."""
    if not isinstance(reference, tuple):
        return
    joints = [skeleton.joint(name, "eval.nme_reference") for name in reference]
    if joints[0] == joints[1]:
        raise InputError(
            f"eval.nme_reference: {' and '.join(reference)} are the same joint, so their distance is 0; name two joints"
        )
    for group in groups:
        for name, joint in zip(reference, joints, strict=True):
            if joint not in group.joints:
                raise InputError(
                    f"eval.nme_reference: {name} is no joint of category {group.name}, whose persons would have no "
                    "reference; name joints that all categories have, use box or area, or restrict data.category"
                )


def describe_reference(reference: Reference) -> str:
    """Return the reference in words, to follow 'relative to'."""
    names = {"box": "the diagonal of the box", "area": "the square root of the area"}
    return names[reference] if isinstance(reference, str) else f"the distance between {' and '.join(reference)}"
