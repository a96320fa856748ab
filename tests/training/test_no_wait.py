"""A training step never waits for the device."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rlepose.config.config import Config
from rlepose.runtime.distributed import Ranks, choose_device
from rlepose.runtime.prefetch import on_device
from tests.training.running import trainer_of

# What makes the host wait: a number read, or a shape that depends on values.
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")


class Operators(TorchDispatchMode):
    """Remembers the names of the operators that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def waits_of_step(config: Config) -> list[str]:
    trainer = trainer_of(config, ranks=Ranks(0, 1, choose_device("cpu")))
    batch = next(iter(trainer.task.loader))
    trainer.step(batch)  # the first one makes the optimiser's state
    with Operators() as operators:
        trainer.step(batch)
    assert "mean" in operators.names
    assert any("_fused_" in name for name in operators.names)
    return [name for name in operators.names if name in WAITS]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["loss.name=l1"],
        ["loss.form=paper"],
        ["train.on_nonfinite=skip", "train.clip_grad_norm=1", "train.accumulate=2"],
    ],
)
def test_a_step_does_not_wait(tiny_config: Callable[..., Config], options: list[str]) -> None:
    assert waits_of_step(tiny_config(*options)) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_no_step_waits(tiny_config: Callable[..., Config]) -> None:
    trainer = trainer_of(tiny_config("system.device=cuda"), ranks=Ranks(0, 1, choose_device("cuda")))
    batches = on_device(trainer.task.loader, trainer.ranks.device)
    trainer.step(next(batches)[1])
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.step(next(batches)[1])
    finally:
        torch.cuda.set_sync_debug_mode("default")
