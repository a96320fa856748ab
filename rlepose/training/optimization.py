"""The optimiser, whether it steps, and the learning rate as a function of the epoch."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rlepose.options import own_options
from rlepose.training.options import CosineConfig, OptimizerConfig, ScheduleConfig, StepConfig

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser of a config, in torch's fused version."""
    parameters = list(parameters)
    optimizer = OPTIMIZERS[config.name](
        parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True, **own_options(config, OptimizerConfig)
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


class TensorClipping:
    """Limits the gradient of each weight tensor of a module by itself.

    Where a module holds several tensors in one parameter, its `stacked_dims` says how many leading dimensions of the
    parameter count them, and each counts by itself.

    limit: largest norm of a tensor's gradient.
    """

    def __init__(self, module: nn.Module, limit: float) -> None:
        self.limit = limit
        stacked_dims = dict.fromkeys(module.parameters(), 0)
        for part in module.modules():
            if hasattr(part, "stacked_dims"):
                stacked_dims |= dict.fromkeys(part.parameters(), int(part.stacked_dims))  # type: ignore[arg-type]
        self._stacked_dims = stacked_dims

    def __call__(self) -> None:
        """Scale the gradients in place, each by min(1, limit / (norm + 1e-6)), like torch's clip_grad_norm_."""
        gradients = list(itertools.chain.from_iterable(self._tensors()))
        norms = torch.stack(torch._foreach_norm(gradients))
        factors = (self.limit / (norms + 1e-6)).clamp(max=1)
        torch._foreach_mul_(gradients, list(factors.unbind()))

    def _tensors(self) -> Iterable[Sequence[Tensor]]:
        for parameter, stacked_dims in self._stacked_dims.items():
            if parameter.grad is not None:
                shape = parameter.shape[stacked_dims:]
                yield parameter.grad.view(-1, *shape).unbind() if stacked_dims else [parameter.grad]


def _step(config: StepConfig, epoch: float, epochs: int) -> float:
    return config.gamma ** sum(epoch >= milestone for milestone in config.milestones)


def _cosine(config: CosineConfig, epoch: float, epochs: int) -> float:
    done = (epoch - config.warmup_epochs) / (epochs - config.warmup_epochs)
    return 0.5 * (1 + math.cos(math.pi * done))


# After the warm-up: the factor at an epoch of so many.
SCHEDULES: dict[str, Callable[[Any, float, int], float]] = {"step": _step, "cosine": _cosine}


def learning_rate_factor(config: ScheduleConfig, epoch: float, epochs: int, step: float) -> float:
    """What the learning rate is multiplied by in the step that begins when `epoch` epochs (a fraction, too) are done.

    step: the part of an epoch that one step is. A warm-up grows to the rate at each step's end, so that the first step
    moves the weights, too. The factor depends on nothing else, so a resumed run needs no schedule state.
    """
    if epoch < config.warmup_epochs:
        return min(1.0, (epoch + step) / config.warmup_epochs)
    return SCHEDULES[config.name](config, epoch, epochs)
