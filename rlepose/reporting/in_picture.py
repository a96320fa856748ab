"""Measurements of a 2-D experiment for a report: OKS, NME, metrics of each joint, and types of mistakes."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlepose.evaluation.calibration import Compared
from rlepose.evaluation.coco_table import mean_table
from rlepose.evaluation.errors_by_type import ERROR_TYPES, corrected, count_types, error_types
from rlepose.evaluation.joint_ap import joint_ap
from rlepose.evaluation.nme import PersonErrors
from rlepose.evaluation.oks import joint_similarity
from rlepose.evaluation.results import CocoResults
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.reporting.gallery import best, by_confidence, galleries
from rlepose.reporting.measured import Measured
from rlepose.validation.coco_evaluator import CocoEvaluator

WRONG_OKS = 0.5  # a pose with a lower OKS counts as a miss in all of COCO's metrics


@dataclass(frozen=True)
class Mistakes:
    """counts (K, T) of each type in ERROR_TYPES; AP, and AP if all joints of a type (except the first) were correct."""

    counts: NDArray[np.int64]
    ap: float
    corrected_ap: tuple[float, ...]


@dataclass(frozen=True)
class MeasuredInPicture(Measured):
    """An experiment in 2-D.

    labels (K,) counts, joint_ap (K,), joint_oks (K,): of each joint, NaN without labels; mean_oks over persons.
    nme: of each person, None without `eval.nme_reference`.
    """

    labels: NDArray[np.int64]
    joint_ap: Floats
    joint_oks: Floats
    mean_oks: float
    nme: PersonErrors | None
    mistakes: Mistakes

    @property
    def curves(self) -> dict[str, str]:
        nme = {} if self.nme is None else {"NME, annotated boxes": "gt/NME"}
        return {"AP, annotated boxes": "gt/AP"} | nme


def measured_in_picture(
    common: Measured,
    evaluator: CocoEvaluator,
    results: list[CocoResults],
    poses: Poses,
    compared: Compared,
    spread: Floats,
    pictures: int,
) -> MeasuredInPicture:
    """Add the measurements of 2-D poses to those that all tasks have in common.

    results: of the evaluator, for all groups. compared: the valid poses. spread: (K, 2), standard deviations in units
    of sigma. pictures: number of persons in each gallery.
    """
    skeleton, valid = evaluator.skeleton, poses.valid
    area = evaluator.areas()[valid]
    similarity = joint_similarity(poses.keypoints[valid], compared.truth, area, np.array(skeleton.oks_sigmas))
    labelled = compared.visible > 0
    labels = labelled.sum(axis=0)
    chosen = {"Lowest OKS": best(compared.quality, pictures)}
    chosen |= by_confidence(compared, compared.quality < WRONG_OKS, pictures)

    def title_of(person: int) -> str:
        return f"OKS {compared.quality[person]:.2f}"

    nobody = f"No person has an OKS below {WRONG_OKS}."
    sheets = galleries(evaluator, poses, spread, compared, chosen, title_of, nobody)
    return MeasuredInPicture(
        **vars(common) | {"galleries": sheets},
        labels=labels,
        joint_ap=_joint_ap(evaluator, poses, results),
        joint_oks=(similarity * labelled).sum(axis=0) / np.where(labels, labels, np.nan),
        mean_oks=float(compared.quality.mean()),
        nme=None if evaluator.nme is None else evaluator.nme.evaluate(poses, evaluator.rows(poses)),
        mistakes=_mistakes(evaluator, poses),
    )


def _joint_ap(evaluator: CocoEvaluator, poses: Poses, results: list[CocoResults]) -> Floats:
    """Return (K,) AP of each joint, for a joint of several category groups the mean."""
    values = np.full((len(results), len(evaluator.skeleton)), np.nan)
    for row, group, truth, found in zip(values, evaluator.groups, evaluator.truths_of(poses), results, strict=True):
        row[list(group.joints)] = joint_ap(truth, found, evaluator.oks_sigmas(group))
    measured = ~np.isnan(values)
    number = measured.sum(axis=0)
    return np.where(measured, values, 0).sum(axis=0) / np.where(number, number, np.nan)


def _mistakes(evaluator: CocoEvaluator, poses: Poses) -> Mistakes:
    table, skeleton, valid = evaluator.labels, evaluator.skeleton, poses.valid
    keypoints, truth = poses.keypoints[valid], table.keypoints[valid]
    types = error_types(
        keypoints,
        truth,
        table.visible[valid],
        evaluator.areas()[valid],
        table.image_index[valid],
        np.array(skeleton.oks_sigmas),
        skeleton.flip_permutation,
    )

    def ap_with(changed: Floats) -> float:
        everywhere = poses.keypoints.copy()
        everywhere[valid] = changed
        tables, _ = evaluator.coco_tables(dataclasses.replace(poses, keypoints=everywhere))
        ap = mean_table(tables)["AP"]
        assert ap is not None  # the table has labelled persons
        return ap

    corrected_ap = tuple(ap_with(corrected(keypoints, truth, types, mistake)) for mistake in ERROR_TYPES[1:])
    return Mistakes(count_types(types), ap_with(keypoints), corrected_ap)
