"""Checks before the first step that need more than one config: data, ranks, and validation."""

from functools import partial
from typing import Any

import numpy as np

from rlepose.config.config import Config
from rlepose.datasets.formats.coco_file import Pictures
from rlepose.datasets.formats.json_file import read_json
from rlepose.datasets.groups import picture_groups
from rlepose.datasets.of_config import training_files
from rlepose.datasets.options import DataConfig
from rlepose.datasets.persons import PersonTable
from rlepose.datasets.persons3d import Person3DTable, check_subjects
from rlepose.errors import InputError
from rlepose.pose.skeleton import Skeleton
from rlepose.validation.coco_evaluator import CocoEvaluator
from rlepose.validation.evaluator import Evaluator
from rlepose.validation.h36m_evaluator import H36MEvaluator
from rlepose.validation.validation import Validation


def check_batch(config: Config, world_size: int) -> None:
    """Raise InputError if a batch, or its half, cannot be divided among ranks and accumulated parts."""
    train, halves = config.train, 1 if config.data.extra_annotations is None else 2
    if train.batch_size % (halves * world_size * train.accumulate):
        raise InputError(
            f"train.batch_size: {train.batch_size} is not divisible by {world_size} ranks × train.accumulate="
            f"{train.accumulate}{' × 2 halves' * (halves == 2)}; set it to a multiple of "
            f"{halves * world_size * train.accumulate}"
        )


def check_joints(data: DataConfig, skeleton: Skeleton, evaluator: Evaluator[Any]) -> None:
    """Raise InputError if the training file has other joints (`skeleton`) than the config or the validation file."""
    path, _ = training_files(data)[0]
    if data.num_keypoints is not None and data.num_keypoints != len(skeleton):
        raise InputError(
            f"data.num_keypoints: expected {data.num_keypoints} joints, but {path} has {len(skeleton)}: "
            f"{', '.join(skeleton.names)}; correct it or set it to null"
        )
    if evaluator.skeleton.names != skeleton.names:
        raise InputError(
            f"{evaluator.path}: the joints ({', '.join(evaluator.skeleton.names)}) differ from those in "
            f"{path} ({', '.join(skeleton.names)}); both files must list the same joints in the same order"
        )


def check_mirroring(config: Config, skeleton: Skeleton) -> None:
    """InputError where crops are mirrored and the joints' names leave open which of them change places."""
    options = {"augment.flip_prob": config.augment.flip_prob > 0, "eval.flip_test": config.eval.flip_test}
    unclear = skeleton.possible_twins
    if unclear and any(options.values()):
        named = ", ".join(unclear[:4]) + ", …" * (len(unclear) > 4)
        raise InputError(
            f"data.flip_pairs: {' and '.join(name for name, on in options.items() if on)} mirror pictures, but no pair "
            f"of left and right is recognised in the joints' names, and {named} differ only in a number or a letter, "
            "or name both sides; give the pairs that change places, such as [[a, b], [c, d]], or [] where none does, "
            "or set augment.flip_prob=0 eval.flip_test=false"
        )


def check_persons(data: DataConfig, table: PersonTable, validation: Validation[Any]) -> None:
    """Raise InputError if persons are in both training and validation data, as far as the files identify them.

    In 3-D, by subject; in 2-D, by the groups of `data.group_key`. Rank 0 parses the training file for the groups, so
    this is collective: every rank must call.
    """
    evaluator = validation.evaluator
    if isinstance(table, Person3DTable) and isinstance(evaluator, H36MEvaluator):
        check_subjects(table, evaluator.labels)
    elif data.group_key is not None and isinstance(evaluator, CocoEvaluator):
        validation.ranks.on_main(partial(_check_groups, data, data.group_key, table, evaluator))


def _check_groups(data: DataConfig, key: str, table: PersonTable, evaluator: CocoEvaluator) -> None:
    paths = [path for path, _ in training_files(data)]
    files = [Pictures(path, read_json(path, "annotation file")) for path in paths]
    trained = np.concatenate([picture_groups(pictures, key) for pictures in files])[table.image_index]
    validated = picture_groups(evaluator.coco, key)[evaluator.labels.image_index]
    shared = np.intersect1d(trained, validated)
    if len(shared):
        raise InputError(
            f"data.group_key: {len(shared)} of {len(np.unique(validated))} groups by '{key}' in {evaluator.path} are "
            f"also in {', '.join(map(str, paths))}, first {shared[0]}; split by groups (`rlepose split`), or set "
            "data.group_key=null"
        )


def check_selection(config: Config, evaluator: Evaluator[Any]) -> None:
    """Raise InputError if validation does not compute the metric that selects the best checkpoint."""
    name = config.train.select_by
    if name is not None and name.startswith("gt/NME") and config.eval.nme_reference is None:
        raise InputError(f"train.select_by: {name}: NME needs a reference length; set eval.nme_reference")
    if name not in (None, "last", *evaluator.selectable):
        raise InputError(
            f"train.select_by: {name}: validation computes no such metric; set it to last, or to one of "
            f"{', '.join(evaluator.selectable)}"
        )
