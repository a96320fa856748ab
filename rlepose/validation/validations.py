"""Validations by data format: `VALIDATIONS` and `EVALUATORS` map the config's `data.format`."""

from pathlib import Path
from typing import Any

from rlepose.config.config import Config
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.formats.detections import persons_from_detections
from rlepose.datasets.formats.h36m_npz import read_h36m
from rlepose.datasets.of_config import read_as
from rlepose.datasets.picture_survey import survey, warn_of_orientation
from rlepose.errors import InputError
from rlepose.models.options import LiftingModelConfig
from rlepose.runtime.distributed import Ranks
from rlepose.validation.coco_evaluator import CocoEvaluator
from rlepose.validation.evaluator import Evaluator
from rlepose.validation.h36m_evaluator import H36MEvaluator
from rlepose.validation.lifting_evaluator import LiftingEvaluator
from rlepose.validation.lifting_source import LiftingSource
from rlepose.validation.pose_source import TableSource
from rlepose.validation.validation import Validation

EVALUATORS: dict[str, type[Evaluator[Any]]] = {"coco": CocoEvaluator, "h36m": H36MEvaluator}


def default_selection(config: Config) -> str:
    """Return the metric that selects best.pt if `train.select_by` is not set."""
    return EVALUATORS[config.data.format].selected_by


def selecting_number(config: Config) -> str:
    """Return the metric that selects best.pt, or 'last'."""
    return config.train.select_by or default_selection(config)


def selecting_metric(config: Config) -> str:
    """Return the metric that selects best.pt or, if the last checkpoint is kept, the default one."""
    number = selecting_number(config)
    return default_selection(config) if number == "last" else number


def calibration_name(config: Config, name: str) -> str:
    """Return the name of one of `uncertainty.CALIBRATION_METRICS` among the metrics of a config's validation."""
    return f"{EVALUATORS[config.data.format].number_prefix}{name}"


def build_validation(config: Config, boxes: str, ranks: Ranks) -> Validation[Any]:
    """Return the validation of a config on its validation file.

    boxes: 'gt' for annotated boxes, else the path of a detection file.
    """
    return VALIDATIONS[config.data.format](config, boxes, ranks)


def _coco_validation(config: Config, boxes: str, ranks: Ranks) -> Validation[Any]:
    data, root = config.data, Path(config.data.root)
    coco = CocoFile(root / data.val_annotations, data.category, missing_boxes=data.missing_boxes)
    skeleton = coco.skeleton(data.oks_sigmas, data.flip_pairs)
    images = root / data.val_images
    if boxes != "gt":
        table = persons_from_detections(coco, images, boxes, coco.groups, data.detection_boxes == "clipped")
        table = read_as(data, table)
        evaluator = CocoEvaluator(config, coco, None)
        return Validation(TableSource(config, table, skeleton, ranks, labelled=False), evaluator, ranks)
    table = read_as(data, persons_from_annotations(coco, images))
    warn_of_orientation(table, survey(table))
    source = TableSource(config, table, skeleton, ranks)
    return Validation(source, CocoEvaluator(config, coco, source.table), ranks)


def _h36m_validation(config: Config, boxes: str, ranks: Ranks) -> Validation[Any]:
    if boxes != "gt":
        raise InputError(f"--boxes: {boxes}: not supported in 3-D, which uses annotated boxes; remove this option")
    root = Path(config.data.root)
    path = root / config.data.val_annotations
    labels = read_h36m(path, root / config.data.val_images)
    if isinstance(config.model, LiftingModelConfig):
        return Validation(LiftingSource(config, labels, ranks), LiftingEvaluator(path, labels), ranks)
    labels = labels.with_pictures(config.data.on_bad_image)
    source = TableSource(config, labels, H36MEvaluator.skeleton, ranks)
    return Validation(source, H36MEvaluator(path, labels), ranks)


VALIDATIONS = {"coco": _coco_validation, "h36m": _h36m_validation}
