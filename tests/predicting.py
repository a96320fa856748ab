"""Networks of tests as trained models."""

from typing import Any

import torch
from torch import nn

from rlepose.losses import Criterion
from rlepose.runtime.trained_model import TrainedModel
from rlepose.training.trainer import Trainer
from rlepose.validation.validation import Validation


def as_trained(network: nn.Module, criterion: Criterion, validation: Validation[Any]) -> TrainedModel:
    """What predicts in a validation, on the CPU."""
    config, skeleton = validation.source.config, validation.evaluator.skeleton
    return TrainedModel(network, criterion, config, skeleton, torch.device("cpu"))


def model_of(trainer: Trainer) -> TrainedModel:
    """What a trainer has trained so far."""
    return as_trained(trainer.model, trainer.criterion, trainer.validation)
