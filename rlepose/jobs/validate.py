"""Validating a checkpoint: numbers, COCO results, pictures, and what its uncertainty is worth."""

import logging
from pathlib import Path
from typing import Any

from torch import nn

from rlepose.config.config import Config
from rlepose.drawing.overlays import write_picture
from rlepose.errors import InputError
from rlepose.evaluation.results import write_json
from rlepose.export.onnx_model import OnnxModel
from rlepose.losses import Criterion
from rlepose.runtime.checkpoint import Checkpoint, open_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.model_card import card_path, with_calibration
from rlepose.runtime.origin import origin
from rlepose.validation.estimator import Predictions
from rlepose.validation.nme_evaluator import write_nme
from rlepose.validation.pose_validator import PoseValidator
from rlepose.validation.uncertainty import (
    calibration_metrics,
    format_calibration,
    in_2d,
    judge_uncertainty,
    location_scale,
    write_calibration,
)
from rlepose.validation.validator import Validator
from rlepose.validation.validators import build_validator

log = logging.getLogger(__name__)

METRICS_FILE, VALIDATION_FILE = "metrics.json", "validation.json"


def validate_checkpoint(
    path: Path,
    config: Config,
    checkpoint: Checkpoint,
    boxes: list[str],
    out: Path,
    ranks: Ranks,
    calibration: bool = False,
    onnx: Path | None = None,
) -> dict[str, Any]:
    """Validate a checkpoint with each kind of boxes; -> the metrics.

    Writes metrics.json, validation.json (where its numbers come from), the poses (COCO results, or joints in space) and
    pictures and, with `calibration`, for ground-truth boxes, calibration.json and its diagrams, and the calibration in
    the checkpoint's model card; with `eval.nme_reference`, nme.json and nme_curve.png. With `onnx`, a file that was
    exported from the checkpoint predicts in its place. InputError where something asked for is not available.
    """
    if calibration and "gt" not in boxes:
        raise InputError(
            f"--calibration: uncertainty is judged in the labelled boxes, not in those of {', '.join(boxes)}; "
            "leave --boxes out, or pass --boxes gt"
        )
    network, criterion = open_network(path, config, checkpoint, ranks, onnx)
    # All that can be wrong with the input is found before the first prediction.
    validators = [validator_of(path, config, checkpoint, kind, ranks) for kind in boxes]
    if calibration:
        location_scale(criterion)
        for validator in validators:
            in_2d(validator)
    metrics: dict[str, Any] = {}
    for validator in validators:
        new, results, predictions = validator.run(network, criterion)
        metrics |= new
        if results is not None:
            validator.write(out, results)
            if isinstance(validator, Validator) and validator.nme is not None:
                write_nme(out, validator.nme.evaluate(predictions))
            _draw_persons(out, validator, predictions, criterion)
            if calibration and validator.prefix == "gt":
                observations, report = judge_uncertainty(in_2d(validator), predictions, criterion)
                write_calibration(out, observations, report, criterion, validator.skeleton)
                metrics |= {f"gt/{name}": value for name, value in calibration_metrics(report).items()}
    if ranks.is_main:
        about = out / VALIDATION_FILE
        about.unlink(missing_ok=True)  # where it exists, it describes the metrics.json beside it
        write_json(out / METRICS_FILE, metrics)
        persons = {validator.prefix: len(validator.table) for validator in validators}
        write_json(about, {"config": config.to_dict(), "persons": persons, "origin": origin(ranks)})
        log.info("results         %s", out)
        log.info("%s", validators[0].format_table(metrics))
        if calibration:
            log.info("%s", format_calibration(metrics))
            card = card_path(path)
            if card.exists() and onnx is None and "gt/NLL" in metrics:
                measured_on = Path(config.data.root) / config.data.val_annotations
                text = with_calibration(card.read_text(encoding="utf-8"), metrics, measured_on)
                card.write_text(text, encoding="utf-8")
    return metrics


def open_network(
    path: Path, config: Config, checkpoint: Checkpoint, ranks: Ranks, onnx: Path | None
) -> tuple[nn.Module, Criterion]:
    """What predicts, the checkpoint's model or a file exported from it, and the criterion."""
    model, criterion = open_checkpoint(path, config, checkpoint, ranks)
    return model if onnx is None else OnnxModel(onnx, checkpoint.skeleton, config.data.input_size_hw), criterion


def validator_of(path: Path, config: Config, checkpoint: Checkpoint, boxes: str, ranks: Ranks) -> PoseValidator[Any]:
    """The validator for a checkpoint; InputError where the data has other joints."""
    validator = build_validator(config, boxes, ranks, checkpoint.recalibration)
    if validator.skeleton.names != checkpoint.skeleton.names:
        raise InputError(
            f"{path}: trained on {len(checkpoint.skeleton)} joints ({', '.join(checkpoint.skeleton.names)}), but "
            f"{validator.path} has {len(validator.skeleton)} ({', '.join(validator.skeleton.names)}); "
            "pass --cfg or --set data.… of the data that it was trained for"
        )
    return validator


def _draw_persons(out: Path, validator: PoseValidator[Any], predictions: Predictions, criterion: Criterion) -> None:
    picture = validator.pictures(predictions, criterion, validator.config.eval.pictures)
    if picture is not None:
        write_picture(out / f"persons_{validator.prefix}.png", picture)
        log.info("pictures        %s", out / f"persons_{validator.prefix}.png")
