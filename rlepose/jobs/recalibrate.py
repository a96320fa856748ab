"""Fit a correction of sigma to a checkpoint on some persons, and evaluate it on others."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.drawing.plots import reliability_figure, save_figure
from rlepose.errors import InputError
from rlepose.evaluation.calibration import Compared
from rlepose.evaluation.choices import Method
from rlepose.evaluation.recalibration import Recalibration, fit_recalibration
from rlepose.jobs.validate import open_for_validation, validation_of
from rlepose.losses import LocationScale
from rlepose.runtime.checkpoint import Checkpoint, save_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.validation.evaluator import Evaluator
from rlepose.validation.uncertainty import judge

log = logging.getLogger(__name__)

_SHOWN = ("NLL", "NLL_relative", "calibration_error", "sharpness", "error", "spearman_sigma_error")


def recalibrate_checkpoint(
    path: Path,
    config: Config,
    checkpoint: Checkpoint,
    method: Method,
    to: Path,
    out: Path,
    ranks: Ranks,
    fit_on: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Fit a correction of sigma, and write the checkpoint with it to `to`.

    fit_on: annotation file and picture folder, relative to `data.root`, to fit on; the correction is then evaluated on
    `data.val_annotations`. None: fit on every second picture of `data.val_annotations`, evaluate on the rest.
    -> {'before': …, 'after': …}: overall metrics of the calibration report on the persons for evaluation. The figure
    recalibration.png in `out` shows both.
    """
    checkpoint = dataclasses.replace(checkpoint, recalibration=None)
    model = open_for_validation(path, config, checkpoint, ranks.device, None)
    likelihood = model.likelihood
    if method == "isotonic" and not likelihood.needs_sigma:
        raise InputError(
            f"--method isotonic: {path} has no learned sigma (loss {config.loss.name}); use another method"
        )
    validation = validation_of(path, config, checkpoint, "gt", ranks)
    evaluator = validation.evaluator
    if fit_on is None:
        fitting = validation
        fitted = _every_other_picture(evaluator)
        judged = ~fitted
    else:
        data = dataclasses.replace(config.data, val_annotations=fit_on[0], val_images=fit_on[1])
        fitting = validation_of(path, dataclasses.replace(config, data=data), checkpoint, "gt", ranks)
        _refuse_shared_pictures(fitting.evaluator, evaluator)
        fitted, judged = np.ones(len(fitting.table), bool), np.ones(len(validation.table), bool)
    poses = fitting.source.predict(model)
    compared = fitting.evaluator.compared(poses, poses.valid & fitted)
    recalibration = _fit(method, likelihood, compared)
    num_fitted = len(compared.risk)
    if fitting is not validation:
        poses = validation.source.predict(model)
    compared = evaluator.compared(poses, poses.valid & judged)
    sigma = recalibration.apply(compared.sigma / compared.unit) * compared.unit
    observations, before = judge(evaluator, compared, likelihood)
    after_observations, after = judge(evaluator, dataclasses.replace(compared, sigma=sigma), likelihood)
    if ranks.is_main:
        log.info("fitted on %d persons of %s", num_fitted, fitting.evaluator.path)
        log.info("evaluated on %d others of %s", len(compared.risk), evaluator.path)
        log.info("%-22s %10s %10s", "", "before", "after")
        for name in (name for name in _SHOWN if name in before["overall"]):
            log.info("%-22s %s %s", name, *(_cell(report["overall"][name]) for report in (before, after)))
        if after["overall"]["NLL"] > before["overall"]["NLL"]:
            log.warning(
                "the correction does not improve the other persons: the model was already calibrated, or %d persons "
                "are too few to fit %s; keep the model without it",
                num_fitted,
                method,
            )
        checkpoint = dataclasses.replace(checkpoint, recalibration=recalibration)
        if config.loss == checkpoint.config.loss:
            checkpoint = dataclasses.replace(checkpoint, spread=torch.from_numpy(model.spread))
        save_checkpoint(to, checkpoint)
        log.info("checkpoint      %s", to)
        curves = {"before": observations, f"after ({method})": after_observations}
        save_figure(out / "recalibration.png", reliability_figure(curves))
        log.info("diagram         %s", out / "recalibration.png")
    return {"before": before["overall"], "after": after["overall"]}


def _every_other_picture(evaluator: Evaluator[Any]) -> NDArray[np.bool_]:
    """Return (N,) the persons to fit on; the others of the file are for evaluation."""
    _, picture = np.unique(evaluator.labels.image_index, return_inverse=True)
    if picture.max() == 0:
        raise InputError(
            f"{evaluator.path}: one picture cannot be split for fitting and evaluation; use --fit-annotations"
        )
    return picture % 2 == 0


def _refuse_shared_pictures(fitting: Evaluator[Any], judging: Evaluator[Any]) -> None:
    """Raise InputError if a correction would be evaluated on the data that it was fitted on."""
    files = [
        {table.picture_path(row).resolve() for row in np.unique(table.image_index)}
        for table in (fitting.labels, judging.labels)
    ]
    shared = sorted(files[0] & files[1])
    if shared:
        raise InputError(
            f"--fit-annotations: {len(shared)} pictures of {fitting.path} are also in {judging.path}, on which the "
            f"correction is evaluated, first {shared[0]}; remove it, or set data.val_annotations to another file"
        )


def _fit(method: Method, likelihood: LocationScale, compared: Compared) -> Recalibration:
    """Return the best correction for these poses, in network units."""
    mu, sigma, target = (each / compared.unit for each in (compared.predicted, compared.sigma, compared.truth))
    return fit_recalibration(method, likelihood, mu, sigma, target, compared.visible)


def _cell(value: float | None) -> str:
    return f"{'–':>10}" if value is None else f"{value:10.4f}"
