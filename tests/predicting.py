"""Networks of tests as trained models, and poses that no network predicted."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rlepose.config.config import Config
from rlepose.datasets.persons import PersonTable
from rlepose.losses import Criterion, build_criterion
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import Skeleton
from rlepose.runtime.checkpoint import Checkpoint
from rlepose.runtime.trained_model import TrainedModel
from rlepose.training.trainer import Trainer
from rlepose.validation.validation import Validation
from tests.training.running import task_of


def as_trained(network: nn.Module, criterion: Criterion, validation: Validation[Any]) -> TrainedModel:
    """What predicts in a validation, on the CPU."""
    config, skeleton = validation.source.config, validation.evaluator.skeleton
    return TrainedModel(network, criterion, config, skeleton, torch.device("cpu"))


def model_of(trainer: Trainer) -> TrainedModel:
    """What a trainer has trained so far."""
    task = task_of(trainer)
    return as_trained(task.step.model, task.step.criterion, task.validation)


def without_network(config: Config, skeleton: Skeleton) -> TrainedModel:
    """What a config makes of outputs that no network predicted."""
    criterion = build_criterion(config.loss, len(skeleton), config.dims)
    return TrainedModel(nn.Identity(), criterion, config, skeleton, torch.device("cpu"))


def criterion_of(checkpoint: Checkpoint) -> Criterion:
    """The trained loss."""
    config = checkpoint.config
    criterion = build_criterion(config.loss, len(checkpoint.skeleton), config.dims)
    criterion.load_state_dict(checkpoint.criterion)
    return criterion


def reordered(poses: Poses, order: NDArray[np.intp]) -> Poses:
    """Some poses, in another order."""
    columns = ((field.name, getattr(poses, field.name)) for field in dataclasses.fields(poses))
    return Poses(**{name: column[order] if isinstance(column, np.ndarray) else column for name, column in columns})


def poses_of(
    table: PersonTable,
    keypoints: Floats,
    joint_scores: Floats,
    sigma: Floats | None = None,
    valid: NDArray[np.bool_] | None = None,
    labelled: bool = True,
) -> Poses:
    """One pose for each person of a table: keypoints (N, K, D), joint_scores (N, K), sigma (N, K, D), valid (N,).

    labelled: whether the table's boxes are annotations'.
    """
    return Poses(
        keypoints,
        sigma,
        joint_scores,
        np.ones(len(table), bool) if valid is None else valid,
        image_ids=table.person_image_ids(),
        category_ids=table.category_ids,
        box_score=table.box_score,
        frame_wh=table.bbox_xywh[:, 2:],
        person_ids=table.person_ids if labelled else None,
    )
