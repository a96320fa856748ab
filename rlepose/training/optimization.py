"""The optimiser, the decision to skip a step, and the learning rate as a function of the epoch."""

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
    """Return the optimiser of a config, in torch's fused version."""
    parameters = list(parameters)
    optimizer = OPTIMIZERS[config.name](
        parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True, **own_options(config, OptimizerConfig)
    )
    if optimizer.defaults.get("momentum"):
        # If the first step were skipped, it would create the buffers without filling them. Zeros give the same step.
        for parameter in parameters:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def skip_next_step(optimizer: torch.optim.Optimizer, skip: Tensor) -> None:
    """Let the next step leave weights and state unchanged if `skip` () is 1, not 0: decided on the device.

    Fused optimisers read it as the overflow flag of a gradient scaler, so the host need not wait for the value.
    """
    optimizer.found_inf = skip  # type: ignore[attr-defined]


class TensorClipping:
    """Clip the gradient of each weight tensor of a module separately.

    If a module stacks several tensors in one parameter, its `stacked_dims` is the number of leading dimensions that
    index them, and each tensor is clipped separately.

    limit: maximum norm of a tensor's gradient.
    """

    def __init__(self, module: nn.Module, limit: float) -> None:
        self.limit = limit
        stacked_dims = dict.fromkeys(module.parameters(), 0)
        for part in module.modules():
            if hasattr(part, "stacked_dims"):
                stacked_dims |= dict.fromkeys(part.parameters(), int(part.stacked_dims))  # type: ignore[arg-type]
        self._stacked_dims = stacked_dims

    def __call__(self) -> None:
        """Scale each gradient in place by min(1, limit / (norm + 1e-6)), like torch's clip_grad_norm_."""
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


# After the warm-up: the factor as a function of the epoch and the number of epochs.
SCHEDULES: dict[str, Callable[[Any, float, int], float]] = {"step": _step, "cosine": _cosine}


def learning_rate_factor(config: ScheduleConfig, epoch: float, epochs: int, step: float) -> float:
    """Return the factor on the learning rate of the step that begins after `epoch` epochs, which may be fractional.

    step: length of a step in epochs. A warm-up grows to the rate at each step's end, so that the first step already
    changes the weights. The factor depends on nothing else, so a resumed run needs no schedule state.
    """
    if epoch < config.warmup_epochs:
        return min(1.0, (epoch + step) / config.warmup_epochs)
    return SCHEDULES[config.name](config, epoch, epochs)
