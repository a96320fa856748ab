"""Fitting a correction of sigma to a checkpoint on some persons, and judging it on others."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.drawing.plots import reliability_figure, save_figure
from rlepose.errors import InputError
from rlepose.evaluation.choices import Method
from rlepose.evaluation.recalibration import Recalibration, fit_recalibration
from rlepose.jobs.validate import validator_of
from rlepose.losses import LocationScale
from rlepose.runtime.checkpoint import Checkpoint, open_checkpoint, save_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.validation.estimator import Predictions
from rlepose.validation.uncertainty import in_2d, judge_uncertainty, location_scale, sigma_px
from rlepose.validation.validator import Validator

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

    fit_on: annotation file and picture folder, relative to `data.root`, of the persons to fit on; the correction is
    judged on those of `data.val_annotations`. None: it is fitted on the persons of every other picture of the latter
    and judged on the rest. -> {'before': …, 'after': …}: the calibration report's overall numbers on those judged on.
    The diagram recalibration.png below `out` shows both.
    """
    checkpoint = dataclasses.replace(checkpoint, recalibration=None)
    model, criterion = open_checkpoint(path, config, checkpoint, ranks)
    likelihood = location_scale(criterion)
    if method == "isotonic" and not likelihood.needs_sigma:
        raise InputError(
            f"--method isotonic: {path} has no learned sigma (loss {config.loss.name}); take another method"
        )
    validator = in_2d(validator_of(path, config, checkpoint, "gt", ranks))
    if fit_on is None:
        fitting = validator
        fitted = _every_other_picture(validator)
        judged = ~fitted
    else:
        data = dataclasses.replace(config.data, val_annotations=fit_on[0], val_images=fit_on[1])
        fitting = in_2d(validator_of(path, dataclasses.replace(config, data=data), checkpoint, "gt", ranks))
        _refuse_shared_pictures(fitting, validator)
        fitted, judged = np.ones(len(fitting.table), bool), np.ones(len(validator.table), bool)
    predictions = fitting.predict(model, criterion)
    recalibration = _fit(method, likelihood, fitting, predictions, predictions.valid & fitted)
    num_fitted = int((predictions.valid & fitted).sum())
    if fitting is not validator:
        predictions = validator.predict(model, criterion)
    size = validator.dataset.scale[:, None]
    corrected = dataclasses.replace(
        predictions, sigma=recalibration.apply(sigma_px(validator, predictions) / size) * size
    )
    observations, before = judge_uncertainty(validator, predictions, criterion, judged)
    after_observations, after = judge_uncertainty(validator, corrected, criterion, judged)
    if ranks.is_main:
        save_checkpoint(to, dataclasses.replace(checkpoint, recalibration=recalibration))
        log.info("fitted on %d persons of %s", num_fitted, fitting.path)
        log.info("judged on %d others of %s", int((predictions.valid & judged).sum()), validator.path)
        log.info("%-22s %10s %10s", "", "before", "after")
        for name in _SHOWN:
            log.info("%-22s %s %s", name, *(_cell(report["overall"][name]) for report in (before, after)))
        if after["overall"]["NLL"] > before["overall"]["NLL"]:
            log.warning(
                "the correction does not carry over to the others: the model was calibrated already, or %d persons "
                "are too few to fit %s on; do without it",
                num_fitted,
                method,
            )
        curves = {"before": observations, f"after ({method})": after_observations}
        save_figure(out / "recalibration.png", reliability_figure(curves))
        log.info("diagram         %s", out / "recalibration.png")
        log.info("checkpoint      %s", to)
    return {"before": before["overall"], "after": after["overall"]}


def _every_other_picture(validator: Validator) -> NDArray[np.bool_]:
    """(N,) the persons to fit on, of a file whose other persons are judged on."""
    _, picture = np.unique(validator.table.image_index, return_inverse=True)
    if picture.max() == 0:
        raise InputError(f"{validator.path}: one picture is too few to fit on one half and judge on the other")
    return picture % 2 == 0


def _refuse_shared_pictures(fitting: Validator, judging: Validator) -> None:
    """InputError where a correction would be judged on what it was fitted on, which flatters it."""
    files = [
        {table.picture_path(row).resolve() for row in np.unique(table.image_index)}
        for table in (fitting.table, judging.table)
    ]
    shared = sorted(files[0] & files[1])
    if shared:
        raise InputError(
            f"--fit-annotations: {len(shared)} pictures of {fitting.path} are also in {judging.path}, on which the "
            f"correction is judged, the first is {shared[0]}; leave it out, or set data.val_annotations to another file"
        )


def _fit(
    method: Method,
    likelihood: LocationScale,
    validator: Validator,
    predictions: Predictions,
    persons: NDArray[np.bool_],
) -> Recalibration:
    """The correction that fits these persons (N,) best, in network units."""
    table, size = validator.table, validator.dataset.scale[:, None]
    return fit_recalibration(
        method,
        likelihood,
        (predictions.keypoints / size)[persons],
        (sigma_px(validator, predictions) / size)[persons],
        (table.keypoints / size)[persons],
        table.visible[persons],
    )


def _cell(value: float | None) -> str:
    return f"{'–':>10}" if value is None else f"{value:10.4f}"
