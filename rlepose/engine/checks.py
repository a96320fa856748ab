"""What a run needs to be true before its first step, beyond what one config can show."""

from pathlib import Path
from typing import Any

import torch

from rlepose.config import Config, DataConfig
from rlepose.datasets.persons import PersonTable
from rlepose.datasets.persons3d import Person3DTable, check_subjects
from rlepose.engine.pose_validator import PoseValidator
from rlepose.engine.validator3d import Validator3D
from rlepose.errors import InputError, first_line
from rlepose.models.pose_model import PoseModel
from rlepose.skeleton import Skeleton


def check_batch(config: Config, world_size: int) -> None:
    """InputError where a batch, or its half, cannot be divided among ranks and accumulated parts."""
    train, halves = config.train, 1 if config.data.extra_annotations is None else 2
    if train.batch_size % (halves * world_size * train.accumulate):
        raise InputError(
            f"train.batch_size: {train.batch_size} does not divide by {world_size} ranks × train.accumulate="
            f"{train.accumulate}{' × 2 halves' * (halves == 2)}; choose a multiple of "
            f"{halves * world_size * train.accumulate}"
        )


def check_joints(data: DataConfig, skeleton: Skeleton, validator: PoseValidator[Any]) -> None:
    """InputError where the training file has other joints (`skeleton`) than the config or the validation file."""
    path = Path(data.root) / data.train_annotations
    if data.num_keypoints is not None and data.num_keypoints != len(skeleton):
        raise InputError(
            f"data.num_keypoints: {data.num_keypoints} joints are asked for but {path} has {len(skeleton)}: "
            f"{', '.join(skeleton.names)}; correct it or set it to null"
        )
    if validator.skeleton.names != skeleton.names:
        raise InputError(
            f"{validator.path}: its joints ({', '.join(validator.skeleton.names)}) are not those of "
            f"{path} ({', '.join(skeleton.names)}); both files must list the same joints in one order"
        )


def check_persons(table: PersonTable, validator: PoseValidator[Any]) -> None:
    """InputError where people to validate on are among those to train on, as far as the files tell who is who."""
    if isinstance(table, Person3DTable) and isinstance(validator, Validator3D):
        check_subjects(table, validator.table)


def check_selection(config: Config, validator: PoseValidator[Any]) -> None:
    """InputError where validation does not give the number that chooses the best checkpoint."""
    name = config.train.select_by
    if name is not None and name.startswith("gt/NME") and config.eval.nme_reference is None:
        raise InputError(f"train.select_by: {name}: NME needs a length to divide by; set eval.nme_reference")
    if name not in (None, "last", *validator.selectable):
        raise InputError(
            f"train.select_by: {name}: this validation gives no such number; set it to last, or to one of "
            f"{', '.join(validator.selectable)}"
        )


@torch.no_grad()
def check_input_size(model: PoseModel, input_size_hw: tuple[int, int], device: torch.device) -> None:
    """InputError where backbone or head cannot take crops of this size: transformers are often built for one."""
    height, width = input_size_hw
    reduction = model.backbone.reductions[0]
    if model.head.has_heatmaps and (height % reduction or width % reduction):
        raise InputError(
            f"data.input_size_hw: the pixels of heatmaps would not lie evenly in crops of {height}x{width}; take "
            f"multiples of {reduction}, by which the backbone shrinks them"
        )
    was_training = model.training
    try:
        model.eval()(torch.zeros(1, 3, height, width, device=device))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"data.input_size_hw: the backbone cannot take crops of {height}x{width} ({first_line(error)}); "
            "change it, or build the backbone for it, often with "
            f"model.backbone.options={{img_size: [{height}, {width}]}}"
        ) from error
    model.train(was_training)
