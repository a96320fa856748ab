"""The optimiser, and the learning rate as a function of the epoch."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from rlepose.config import OptimizerConfig, ScheduleConfig


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD in torch's fused version."""
    decay, parameters = config.weight_decay, list(parameters)
    if config.name == "adam":
        return torch.optim.Adam(parameters, lr=config.lr, weight_decay=decay, fused=True)
    if config.name == "adamw":
        return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=decay, fused=True)
    return torch.optim.SGD(parameters, lr=config.lr, weight_decay=decay, momentum=config.momentum, fused=True)


def learning_rate_factor(config: ScheduleConfig, epoch: float, epochs: int) -> float:
    """What the learning rate is multiplied by when `epoch` epochs (a fraction, too) are done.

    It depends on nothing else, so a resumed run needs no schedule state.
    """
    if epoch < config.warmup_epochs:
        return epoch / config.warmup_epochs
    if config.name == "cosine":
        done = (epoch - config.warmup_epochs) / (epochs - config.warmup_epochs)
        return 0.5 * (1 + math.cos(math.pi * done))
    return config.gamma ** sum(epoch >= milestone for milestone in config.milestones)
