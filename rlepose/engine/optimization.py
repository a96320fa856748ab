"""The optimiser, whether it steps, and the learning rate as a function of the epoch."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from rlepose.config import OptimizerConfig, ScheduleConfig, options_of

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser of a config, in torch's fused version."""
    parameters = list(parameters)
    optimizer = OPTIMIZERS[config.name](
        parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True, **options_of(config)
    )
    if optimizer.defaults.get("momentum"):
        # The first step would make the buffers without filling them, were it skipped. From zero it is the same step.
        for parameter in parameters:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def skip_next_step(optimizer: torch.optim.Optimizer, skip: Tensor) -> None:
    """Let the next step leave weights and state as they are if `skip` () is 1, not 0: decided on the device.

    The fused optimisers take it as what a gradient scaler found, so the host need not wait to know.
    """
    optimizer.found_inf = skip  # type: ignore[attr-defined]


def _step(config: ScheduleConfig, epoch: float, epochs: int) -> float:
    return config.gamma ** sum(epoch >= milestone for milestone in config.milestones)


def _cosine(config: ScheduleConfig, epoch: float, epochs: int) -> float:
    done = (epoch - config.warmup_epochs) / (epochs - config.warmup_epochs)
    return 0.5 * (1 + math.cos(math.pi * done))


# After the warm-up: the factor at an epoch of so many.
SCHEDULES: dict[str, Callable[[ScheduleConfig, float, int], float]] = {"step": _step, "cosine": _cosine}


def learning_rate_factor(config: ScheduleConfig, epoch: float, epochs: int) -> float:
    """What the learning rate is multiplied by when `epoch` epochs (a fraction, too) are done.

    It depends on nothing else, so a resumed run needs no schedule state.
    """
    if epoch < config.warmup_epochs:
        return epoch / config.warmup_epochs
    return SCHEDULES[config.name](config, epoch, epochs)
