"""The optimiser, whether it steps, and the learning rate as a function of the epoch."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from rlepose.config import OptimizerConfig, ScheduleConfig


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD in torch's fused version."""
    decay, parameters = config.weight_decay, list(parameters)
    if config.name == "adam":
        return torch.optim.Adam(parameters, lr=config.lr, weight_decay=decay, fused=True)
    if config.name == "adamw":
        return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=decay, fused=True)
    sgd = torch.optim.SGD(parameters, lr=config.lr, weight_decay=decay, momentum=config.momentum, fused=True)
    if config.momentum:
        # The first step would make the buffers without filling them, were it skipped. From zero it is the same step.
        for parameter in parameters:
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd


def skip_next_step(optimizer: torch.optim.Optimizer, skip: Tensor) -> None:
    """Let the next step leave weights and state as they are if `skip` () is 1, not 0: decided on the device.

    The fused optimisers take it as what a gradient scaler found, so the host need not wait to know.
    """
    optimizer.found_inf = skip  # type: ignore[attr-defined]


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
