"""Measurements for a report: each experiment's best checkpoint, validated again and evaluated in every way."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlepose.config.config import Config
from rlepose.config.reading import with_overrides
from rlepose.errors import InputError
from rlepose.evaluation.calibration import ranking_report
from rlepose.jobs.validate import open_for_validation, validation_of
from rlepose.pose.pose_arrays import Poses
from rlepose.reporting.gallery import is_ranked
from rlepose.reporting.in_picture import measured_in_picture
from rlepose.reporting.in_space import measured_in_space
from rlepose.reporting.measured import Measured, Uncertainty
from rlepose.runtime.checkpoint import Checkpoint, load_checkpoint
from rlepose.runtime.distributed import Ranks, ranks
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.run_log import read_history
from rlepose.runtime.trained_lifter import TrainedLifter
from rlepose.runtime.trained_model import TrainedModel
from rlepose.validation.coco_evaluator import CocoEvaluator
from rlepose.validation.evaluator import Evaluator
from rlepose.validation.h36m_evaluator import H36MEvaluator
from rlepose.validation.uncertainty import judge_uncertainty

log = logging.getLogger(__name__)


def measure_all(folders: Sequence[Path], overrides: Sequence[str] = (), pictures: int = 8) -> list[Measured]:
    """Measure the best checkpoint of each experiment; pictures: number of persons in each gallery.

    InputError for a folder without a checkpoint, and for experiments with different joints or dimensions, before any
    prediction.
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
        if checkpoint.config.dims != checkpoints[0].config.dims:
            raise InputError(
                f"{folder} is in {checkpoint.config.dims}-D, but {folders[0]} in {checkpoints[0].config.dims}-D; a "
                "report needs experiments with the same dimensions, so write one for each"
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
    model = open_for_validation(path, config, checkpoint, group.device, None)
    detections = [str(Path(config.data.root) / config.data.detections)] if config.data.detections else []
    validations = [validation_of(path, config, checkpoint, boxes, group) for boxes in ("gt", *detections)]
    evaluator = validations[0].evaluator
    metrics, results, poses = validations[0].run(model)
    assert results is not None  # since there is one rank
    for other in validations[1:]:
        metrics |= other.run(model)[0]
    log.info("%s: metrics\n%s", name, evaluator.format_table(metrics))
    compared = evaluator.compared(poses, poses.valid)
    common = Measured(
        name=name,
        config=config,
        joints=evaluator.skeleton.names,
        density_joints=evaluator.density_joints,
        epoch=checkpoint.progress.get("epoch"),
        history=read_history(folder),
        metrics=metrics,
        persons=len(compared.risk),
        ranking=ranking_report(compared.confidence, compared.risk) if is_ranked(compared) else None,
        risk=evaluator.risk,
        uncertainty=_uncertainty(evaluator, poses, model),
        galleries=[],
    )
    if isinstance(evaluator, CocoEvaluator):
        return measured_in_picture(common, evaluator, results, poses, compared, model.spread, pictures)
    assert isinstance(evaluator, H36MEvaluator)  # there are no others
    return measured_in_space(common, evaluator, poses, compared, model.spread, pictures)


def _uncertainty(evaluator: Evaluator[Any], poses: Poses, model: TrainedModel | TrainedLifter) -> Uncertainty | str:
    loss = model.config.loss.name
    if poses.sigma is None:
        return f"the loss {loss} learns no sigma, so there is no uncertainty to evaluate"
    if not model.has_likelihood:
        return f"the flow of {loss} is a density of absolute positions, not around a prediction"
    return Uncertainty(*judge_uncertainty(evaluator, poses, model.likelihood), model.likelihood)
