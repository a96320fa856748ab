"""Fitting a correction of sigma to a checkpoint, on one half of the validation pictures, judged on the other."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np

from rlepose.config import Config
from rlepose.engine.checkpoint import Checkpoint, open_checkpoint, save_checkpoint
from rlepose.engine.distributed import Ranks
from rlepose.engine.uncertainty import in_2d, judge_uncertainty, location_scale, sigma_px
from rlepose.engine.validate_checkpoint import validator_of
from rlepose.errors import InputError
from rlepose.evaluation.recalibration import Method, fit_recalibration
from rlepose.plots import reliability_figure, save_figure

log = logging.getLogger(__name__)

_SHOWN = ("NLL", "NLL_relative", "calibration_error", "sharpness", "error", "spearman_sigma_error")


def recalibrate_checkpoint(
    path: Path, config: Config, checkpoint: Checkpoint, method: Method, to: Path, out: Path, ranks: Ranks
) -> dict[str, Any]:
    """Fit on the persons of every other picture, write the checkpoint with the correction to `to`.

    -> {'before': …, 'after': …}: the calibration report's overall numbers on the other half. The diagram
    recalibration.png below `out` shows both.
    """
    checkpoint = dataclasses.replace(checkpoint, recalibration=None)
    model, criterion = open_checkpoint(path, config, checkpoint, ranks)
    likelihood = location_scale(criterion)
    if method == "isotonic" and not likelihood.needs_sigma:
        raise InputError(
            f"--method isotonic: {path} has no learned sigma (loss {config.loss.name}); take another method"
        )
    validator = in_2d(validator_of(path, config, checkpoint, "gt", ranks))
    table, size = validator.table, validator.dataset.scale[:, None]
    _, picture = np.unique(table.image_index, return_inverse=True)
    fitted_on = picture % 2 == 0
    if fitted_on.all():
        raise InputError(f"{validator.coco.path}: one picture is too few to fit on one half and judge on the other")
    predictions = validator.predict(model, criterion)
    chosen = predictions.valid & fitted_on
    recalibration = fit_recalibration(
        method,
        likelihood,
        (predictions.keypoints / size)[chosen],
        (sigma_px(validator, predictions) / size)[chosen],
        (table.keypoints / size)[chosen],
        table.visible[chosen],
    )
    corrected = dataclasses.replace(
        predictions, sigma=recalibration.apply(sigma_px(validator, predictions) / size) * size
    )
    observations, before = judge_uncertainty(validator, predictions, criterion, ~fitted_on)
    after_observations, after = judge_uncertainty(validator, corrected, criterion, ~fitted_on)
    if ranks.is_main:
        save_checkpoint(to, dataclasses.replace(checkpoint, recalibration=recalibration))
        log.info(
            "fitted on %d persons, judged on %d others", int(chosen.sum()), int((predictions.valid & ~fitted_on).sum())
        )
        log.info("%-22s %10s %10s", "", "before", "after")
        for name in _SHOWN:
            log.info("%-22s %s %s", name, *(_cell(report["overall"][name]) for report in (before, after)))
        if after["overall"]["NLL"] > before["overall"]["NLL"]:
            log.warning(
                "the correction does not carry over to the other half: the model was calibrated already, or %d persons "
                "are too few to fit %s on; do without it",
                int(chosen.sum()),
                method,
            )
        curves = {"before": observations, f"after ({method})": after_observations}
        save_figure(out / "recalibration.png", reliability_figure(curves))
        log.info("diagram         %s", out / "recalibration.png")
        log.info("checkpoint      %s", to)
    return {"before": before["overall"], "after": after["overall"]}


def _cell(value: float | None) -> str:
    return f"{'–':>10}" if value is None else f"{value:10.4f}"
