"""Which validation belongs to which data: `VALIDATORS` maps the config's `data.format` to classes."""

from typing import Any

from rlepose.config.config import Config
from rlepose.evaluation.recalibration import Recalibration
from rlepose.runtime.distributed import Ranks
from rlepose.validation.pose_validator import PoseValidator
from rlepose.validation.validator import Validator
from rlepose.validation.validator3d import Validator3D

VALIDATORS: dict[str, type[Validator] | type[Validator3D]] = {"coco": Validator, "h36m": Validator3D}


def selecting_number(config: Config) -> str:
    """Name of the metric whose best value makes a checkpoint best.pt, or 'last'."""
    return config.train.select_by or VALIDATORS[config.data.format].selected_by


def selecting_metric(config: Config) -> str:
    """Name of the metric that makes a checkpoint best.pt or, where the last one is kept, would."""
    number = selecting_number(config)
    return VALIDATORS[config.data.format].selected_by if number == "last" else number


def build_validator(
    config: Config, boxes: str, ranks: Ranks, recalibration: Recalibration | None = None
) -> PoseValidator[Any]:
    """The validation of a config. boxes: 'gt' for those of the annotation file, else the path of a detection file."""
    return VALIDATORS[config.data.format](config, boxes, ranks, recalibration)
