"""What a report tells of an experiment: its best checkpoint, validated anew and judged in every way."""

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
from rlepose.jobs.validate import validator_of
from rlepose.losses import Criterion, LocationScale
from rlepose.pose.geometry import Floats
from rlepose.reporting.gallery import Gallery, galleries
from rlepose.runtime.checkpoint import Checkpoint, load_checkpoint, open_checkpoint
from rlepose.runtime.distributed import Ranks, ranks
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.run_log import read_history
from rlepose.validation.estimator import Predictions
from rlepose.validation.uncertainty import areas, in_2d, judge_uncertainty, location_scale
from rlepose.validation.validator import Validator

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Uncertainty:
    """What `validate.py --calibration` judges, and the learned density."""

    observations: Observations
    report: dict[str, Any]
    likelihood: LocationScale


@dataclass(frozen=True)
class Mistakes:
    """counts (K, T) of each type in ERROR_TYPES; AP, and AP when all joints of a type but the first are put right."""

    counts: NDArray[np.int64]
    ap: float
    corrected_ap: tuple[float, ...]


@dataclass(frozen=True)
class Measured:
    """One experiment of a report.

    epoch: None for a converted checkpoint.
    history: lines of metrics.jsonl. metrics: of the validation with each kind of boxes. persons: validated ones.
    labels (K,) number, joint_ap (K,), joint_oks (K,): of each joint, NaN without label; mean_oks over persons.
    nme: of each person, None without `eval.nme_reference`.
    ranking: risk-coverage, None where all confidences are equal. uncertainty: or, in words, why there is none.
    All but metrics and history with the annotated boxes.
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
    """Measure the best checkpoint of each experiment; pictures: persons in each gallery.

    InputError for a folder without one, and for experiments of different joints: found before the first prediction.
    """
    checkpoints = [_best(folder) for folder in folders]
    first = checkpoints[0].skeleton.names
    for folder, checkpoint in zip(folders, checkpoints, strict=True):
        names = checkpoint.skeleton.names
        if names != first:
            raise InputError(
                f"{folder} has the {len(names)} joints {', '.join(names)}, but {folders[0]} has the {len(first)} "
                f"{', '.join(first)}; side by side go experiments of the same joints: write a report for each"
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
            f"{folder}: no experiment with a checkpoint, {best} does not exist; name folders that training made, "
            "such as exp/NAME, after their first validation"
        )
    return load_checkpoint(best)


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' names, or their paths where names repeat."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _measure(folder: Path, name: str, checkpoint: Checkpoint, config: Config, group: Ranks, pictures: int) -> Measured:
    path = Experiment(folder).best
    model, criterion = open_checkpoint(path, config, checkpoint, group)
    detections = [str(Path(config.data.root) / config.data.detections)] if config.data.detections else []
    validator, *others = [in_2d(validator_of(path, config, checkpoint, boxes, group)) for boxes in ("gt", *detections)]
    metrics, results, predictions = validator.run(model, criterion)
    assert results is not None  # on one rank
    for other in others:
        metrics |= other.run(model, criterion)[0]
    skeleton = validator.skeleton
    oks_sigmas, valid = np.array(skeleton.oks_sigmas), predictions.valid
    truth, visible = validator.table.keypoints[valid], validator.table.visible[valid]
    similarity = joint_similarity(predictions.keypoints[valid], truth, areas(validator)[valid], oks_sigmas)
    labelled = visible > 0
    labels = labelled.sum(axis=0)
    oks = (similarity * labelled).sum(axis=1) / labelled.sum(axis=1)
    confidence = validator.confidence(predictions)[valid]
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
        joint_ap=_joint_ap(validator, results),
        joint_oks=(similarity * labelled).sum(axis=0) / np.where(labels, labels, np.nan),
        mean_oks=float(oks.mean()),
        nme=None if validator.nme is None else validator.nme.evaluate(predictions),
        ranking=ranking_report(confidence, oks) if sure else None,
        uncertainty=_uncertainty(validator, predictions, criterion),
        mistakes=_mistakes(validator, predictions),
        galleries=galleries(validator, predictions, criterion, confidence if sure else None, oks, pictures),
    )


def _joint_ap(validator: Validator, results: list[CocoResults]) -> Floats:
    """(K,); of a joint that several kinds have, their mean."""
    values = np.full((len(results), len(validator.skeleton)), np.nan)
    for row, kind, truth, found in zip(values, validator.kinds, validator.truths, results, strict=True):
        row[list(kind.joints)] = joint_ap(truth, found, validator.oks_sigmas(kind))
    measured = ~np.isnan(values)
    number = measured.sum(axis=0)
    return np.where(measured, values, 0).sum(axis=0) / np.where(number, number, np.nan)


def _uncertainty(validator: Validator, predictions: Predictions, criterion: Criterion) -> Uncertainty | str:
    loss = validator.config.loss.name
    if predictions.sigma is None:
        return f"the loss {loss} learns no sigma, so there is no uncertainty in pixels to judge"
    if not isinstance(criterion.main, LocationScale):
        return f"the flow of {loss} is a density of positions, not of what lies around a prediction"
    observations, report = judge_uncertainty(validator, predictions, criterion)
    return Uncertainty(observations, report, location_scale(criterion))


def _mistakes(validator: Validator, predictions: Predictions) -> Mistakes:
    table, skeleton, valid = validator.table, validator.skeleton, predictions.valid
    keypoints, truth = predictions.keypoints[valid], table.keypoints[valid]
    types = error_types(
        keypoints,
        truth,
        table.visible[valid],
        areas(validator)[valid],
        table.image_index[valid],
        np.array(skeleton.oks_sigmas),
        skeleton.flip_permutation,
    )

    def ap_with(poses: Floats) -> float:
        everywhere = predictions.keypoints.copy()
        everywhere[valid] = poses
        tables, _ = validator.coco_tables(dataclasses.replace(predictions, keypoints=everywhere))
        ap = mean_table(tables)["AP"]
        assert ap is not None  # the table has labelled persons
        return ap

    corrected_ap = tuple(ap_with(corrected(keypoints, truth, types, mistake)) for mistake in ERROR_TYPES[1:])
    return Mistakes(count_types(types), ap_with(keypoints), corrected_ap)
