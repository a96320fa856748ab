"""Validate a checkpoint: metrics, COCO results, pictures, and calibration."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rlepose.config.config import Config
from rlepose.drawing.overlays import write_picture
from rlepose.errors import InputError
from rlepose.evaluation.results import write_json, write_whole
from rlepose.export.onnx_model import OnnxModel
from rlepose.models.options import LiftingModelConfig
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.runtime.checkpoint import Checkpoint
from rlepose.runtime.checkpoint_file import card_path
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.origin import origin
from rlepose.runtime.trained_lifter import TrainedLifter, open_lifter
from rlepose.runtime.trained_model import TrainedModel, open_checkpoint
from rlepose.tasks.model_card import with_calibration
from rlepose.validation.coco_evaluator import CocoEvaluator
from rlepose.validation.evaluator import Evaluator
from rlepose.validation.nme_evaluator import write_nme
from rlepose.validation.uncertainty import (
    calibration_metrics,
    format_calibration,
    judge_uncertainty,
    write_calibration,
)
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation, calibration_name

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
    """Validate a checkpoint with each source of boxes, and return the metrics.

    Writes metrics.json, validation.json (the origin of the metrics), the poses (COCO results, or 3-D joints) and
    pictures. With `calibration`, for ground-truth boxes, also calibration.json and its figures, and the calibration in
    the checkpoint's model card; with `eval.nme_reference`, nme.json and nme_curve.png. All numbers are logged before
    the first file is written, so that a full disk costs no numbers. With `onnx`, a file exported from the checkpoint
    predicts in its place. InputError if something requested is not available.
    """
    if calibration and "gt" not in boxes:
        raise InputError(
            f"--calibration: evaluates annotated boxes, not boxes of {', '.join(boxes)}; remove --boxes, or pass "
            "--boxes gt"
        )
    model = open_for_validation(path, config, checkpoint, ranks.device, onnx)
    # All errors in the input are found before the first prediction.
    validations = [validation_of(path, config, checkpoint, of_boxes, ranks) for of_boxes in boxes]
    likelihood = model.likelihood if calibration else None
    metrics: dict[str, Any] = {}
    report: dict[str, Any] | None = None
    files: list[Callable[[], None]] = []  # to write once all numbers are logged
    for validation in validations:
        new, results, poses = validation.run(model)
        metrics |= new
        if results is not None:
            evaluator = validation.evaluator
            files.append(partial(evaluator.write, out, results))
            if isinstance(evaluator, CocoEvaluator) and evaluator.nme is not None:
                files.append(partial(write_nme, out, evaluator.nme.evaluate(poses, evaluator.rows(poses))))
            files.append(partial(_draw_persons, out, evaluator, poses, model.spread, config.eval.pictures))
            if likelihood is not None and evaluator.prefix == "gt":
                observations, report = judge_uncertainty(evaluator, poses, likelihood)
                files.append(partial(write_calibration, out, observations, report, likelihood, evaluator))
                measured = calibration_metrics(report)
                metrics |= {calibration_name(config, name): value for name, value in measured.items()}
    if ranks.is_main:
        log.info("%s", validations[0].evaluator.format_table(metrics))
        if report is not None:
            log.info("%s", format_calibration(report))
        about = out / VALIDATION_FILE
        about.unlink(missing_ok=True)  # if it exists, it describes the metrics.json beside it
        write_json(out / METRICS_FILE, metrics)
        for write in files:
            write()
        judged = {validation.evaluator.prefix: validation.judged(metrics) for validation in validations}
        persons = {prefix: count for prefix, (count, _) in judged.items()}
        left_out = {prefix: reasons for prefix, (_, reasons) in judged.items()}
        write_json(
            about, {"config": config.to_dict(), "persons": persons, "left_out": left_out, "origin": origin(ranks)}
        )
        log.info("results         %s", out)
        if report is not None and onnx is None:
            _add_to_card(card_path(path), calibration_metrics(report), config)
    return metrics


def _add_to_card(card: Path, measured: dict[str, float | None], config: Config) -> None:
    """Write the calibration into a checkpoint's model card, if it has one and its folder is not read-only."""
    if not card.exists():
        return
    measured_on = Path(config.data.root) / config.data.val_annotations
    text = with_calibration(card.read_text(encoding="utf-8"), measured, measured_on)
    try:
        write_whole(card, text.encode())
    except OSError as error:
        log.warning("%s: stays as it is, without the calibration (%s)", card, error.strerror)


def open_for_validation(
    path: Path, config: Config, checkpoint: Checkpoint, device: torch.device, onnx: Path | None
) -> TrainedModel | TrainedLifter:
    """Return the predictor for the validation of a config's task; see `open_network`."""
    if not isinstance(config.model, LiftingModelConfig):
        return open_network(path, config, checkpoint, device, onnx)
    if onnx is not None:
        raise InputError(
            f"--onnx: not supported for lifting models such as {path}, because export compares the file with the "
            "network; remove this option"
        )
    return open_lifter(path, config, checkpoint, device)


def open_network(
    path: Path, config: Config, checkpoint: Checkpoint, device: torch.device, onnx: Path | None
) -> TrainedModel:
    """Return the trained model, or one in which a file exported from the checkpoint predicts."""
    network = None if onnx is None else OnnxModel(onnx, checkpoint.skeleton, config.data.input_size_hw)
    return open_checkpoint(path, config, checkpoint, device, network)


def validation_of(path: Path, config: Config, checkpoint: Checkpoint, boxes: str, ranks: Ranks) -> Validation[Any]:
    """Return the validation of a checkpoint; InputError if the data have other joints."""
    validation = build_validation(config, boxes, ranks)
    skeleton = validation.evaluator.skeleton
    if skeleton.names != checkpoint.skeleton.names:
        raise InputError(
            f"{path}: trained on {len(checkpoint.skeleton)} joints ({', '.join(checkpoint.skeleton.names)}), but "
            f"{validation.evaluator.path} has {len(skeleton)} ({', '.join(skeleton.names)}); "
            "pass --cfg or --set data.… for the data of its training"
        )
    return validation


def _draw_persons(out: Path, evaluator: Evaluator[Any], poses: Poses, spread: Floats, count: int) -> None:
    picture = evaluator.pictures(poses, spread, count)
    if picture is not None:
        write_picture(out / f"persons_{evaluator.prefix}.png", picture)
        log.info("pictures        %s", out / f"persons_{evaluator.prefix}.png")
