"""Measurements for a report: an experiment's best checkpoint, validated again and evaluated in every way."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.config.reading import with_overrides
from rlepose.errors import InputError
from rlepose.evaluation.calibration import Observations, ranking_report
from rlepose.evaluation.coco_table import mean_table
from rlepose.evaluation.errors_by_type import ERROR_TYPES, corrected, count_types, error_types
from rlepose.evaluation.joint_ap import joint_ap
from rlepose.evaluation.nme import PersonErrors
from rlepose.evaluation.oks import joint_similarity
from rlepose.evaluation.results import CocoResults
from rlepose.jobs.validate import validation_of
from rlepose.losses import LocationScale
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.reporting.gallery import Gallery, galleries
from rlepose.runtime.checkpoint import Checkpoint, load_checkpoint
from rlepose.runtime.distributed import Ranks, ranks
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.run_log import read_history
from rlepose.runtime.trained_model import TrainedModel, open_checkpoint
from rlepose.validation.coco_evaluator import CocoEvaluator
from rlepose.validation.uncertainty import areas, in_2d, judge_uncertainty

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Uncertainty:
    """Output of `rlepose validate --calibration`, and the learned density."""

    observations: Observations
    report: dict[str, Any]
    likelihood: LocationScale


@dataclass(frozen=True)
class Mistakes:
    """counts (K, T) of each type in ERROR_TYPES; AP, and AP if all joints of a type (except the first) were correct."""

    counts: NDArray[np.int64]
    ap: float
    corrected_ap: tuple[float, ...]


@dataclass(frozen=True)
class Measured:
    """One experiment of a report.

    epoch: None for a converted checkpoint.
    history: lines of metrics.jsonl. metrics: of the validation with each source of boxes. persons: number validated.
    labels (K,) counts, joint_ap (K,), joint_oks (K,): of each joint, NaN without labels; mean_oks over persons.
    nme: of each person, None without `eval.nme_reference`.
    ranking: risk-coverage, None if all confidences are equal. uncertainty: or the reason why there is none.
    Everything except metrics and history is for annotated boxes.
    """

    name: str
    config: Config
    joints: tuple[str, ...]
    epoch: int | None
    history: list[dict[str, Any]]
    metrics: dict[str, Any]
    persons: int
    labels: NDArray[np.int64]
    joint_ap: Floats
    joint_oks: Floats
    mean_oks: float
    nme: PersonErrors | None
    ranking: dict[str, Any] | None
    uncertainty: Uncertainty | str
    mistakes: Mistakes
    galleries: list[Gallery]


def measure_all(folders: Sequence[Path], overrides: Sequence[str] = (), pictures: int = 8) -> list[Measured]:
    """Measure the best checkpoint of each experiment; pictures: number of persons in each gallery.

    InputError for a folder without a checkpoint, and for experiments with different joints, before any prediction.
    """
    checkpoints = [_best(folder) for folder in folders]
    first = checkpoints[0].skeleton.names
    for folder, checkpoint in zip(folders, checkpoints, strict=True):
        names = checkpoint.skeleton.names
        if names != first:
            raise InputError(
                f"{folder} has the {len(names)} joints {', '.join(names)}, but {folders[0]} has {len(first)}: "
                f"{', '.join(first)}; a report needs experiments with the same joints, so write one for each"
            )
    measured = []
    for folder, name, checkpoint in zip(folders, _names(folders), checkpoints, strict=True):
        config = with_overrides(checkpoint.config, overrides)
        log.info("%s: validating %s", name, Experiment(folder).best)
        with ranks(config.system) as group:
            measured.append(_measure(folder, name, checkpoint, config, group, pictures))
    return measured


def _best(folder: Path) -> Checkpoint:
    best = Experiment(folder).best
    if not best.is_file():
        raise InputError(
            f"{folder}: not an experiment with a checkpoint, since {best} does not exist; pass folders of experiments, "
            "such as exp/NAME, after their first validation"
        )
    return load_checkpoint(best)


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the folders' names, or their paths if names repeat."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _measure(folder: Path, name: str, checkpoint: Checkpoint, config: Config, group: Ranks, pictures: int) -> Measured:
    path = Experiment(folder).best
    model = open_checkpoint(path, config, checkpoint, group.device)
    detections = [str(Path(config.data.root) / config.data.detections)] if config.data.detections else []
    validations = [validation_of(path, config, checkpoint, boxes, group) for boxes in ("gt", *detections)]
    evaluator, *_ = [in_2d(validation) for validation in validations]
    metrics, results, poses = validations[0].run(model)
    assert results is not None  # since there is one rank
    for other in validations[1:]:
        metrics |= other.run(model)[0]
    skeleton = evaluator.skeleton
    oks_sigmas, valid = np.array(skeleton.oks_sigmas), poses.valid
    truth, visible = evaluator.labels.keypoints[valid], evaluator.labels.visible[valid]
    similarity = joint_similarity(poses.keypoints[valid], truth, areas(evaluator)[valid], oks_sigmas)
    labelled = visible > 0
    labels = labelled.sum(axis=0)
    oks = (similarity * labelled).sum(axis=1) / labelled.sum(axis=1)
    confidence = evaluator.confidence(poses)[valid]
    sure = np.ptp(confidence) > 0
    return Measured(
        name=name,
        config=config,
        joints=skeleton.names,
        epoch=checkpoint.progress.get("epoch"),
        history=read_history(folder),
        metrics=metrics,
        persons=len(oks),
        labels=labels,
        joint_ap=_joint_ap(evaluator, poses, results),
        joint_oks=(similarity * labelled).sum(axis=0) / np.where(labels, labels, np.nan),
        mean_oks=float(oks.mean()),
        nme=None if evaluator.nme is None else evaluator.nme.evaluate(poses, evaluator.rows(poses)),
        ranking=ranking_report(confidence, oks) if sure else None,
        uncertainty=_uncertainty(evaluator, poses, model),
        mistakes=_mistakes(evaluator, poses),
        galleries=galleries(evaluator, poses, model.spread, confidence if sure else None, oks, pictures),
    )


def _joint_ap(evaluator: CocoEvaluator, poses: Poses, results: list[CocoResults]) -> Floats:
    """Return (K,) AP of each joint, for a joint of several category groups the mean."""
    values = np.full((len(results), len(evaluator.skeleton)), np.nan)
    for row, group, truth, found in zip(values, evaluator.groups, evaluator.truths_of(poses), results, strict=True):
        row[list(group.joints)] = joint_ap(truth, found, evaluator.oks_sigmas(group))
    measured = ~np.isnan(values)
    number = measured.sum(axis=0)
    return np.where(measured, values, 0).sum(axis=0) / np.where(number, number, np.nan)


def _uncertainty(evaluator: CocoEvaluator, poses: Poses, model: TrainedModel) -> Uncertainty | str:
    loss = model.config.loss.name
    if poses.sigma is None:
        return f"the loss {loss} learns no sigma, so there is no uncertainty to evaluate"
    if not model.has_likelihood:
        return f"the flow of {loss} is a density of absolute positions, not around a prediction"
    return Uncertainty(*judge_uncertainty(evaluator, poses, model.likelihood), model.likelihood)


def _mistakes(evaluator: CocoEvaluator, poses: Poses) -> Mistakes:
    table, skeleton, valid = evaluator.labels, evaluator.skeleton, poses.valid
    keypoints, truth = poses.keypoints[valid], table.keypoints[valid]
    types = error_types(
        keypoints,
        truth,
        table.visible[valid],
        areas(evaluator)[valid],
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
