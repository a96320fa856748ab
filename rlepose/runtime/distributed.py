"""The ranks of a run: one process per device, started by torchrun, or a single process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from rlepose.errors import InputError
from rlepose.runtime.launch import join, read_launch
from rlepose.runtime.options import SystemConfig


@dataclass(frozen=True)
class Ranks:
    """This process in the process group, and its device."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks (anything picklable), in rank order, on every rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def on_main(self, action: Callable[[], Any]) -> Any:
        """Run `action` on rank 0 only; every rank gets its result or its InputError."""
        result: Any = None
        if self.is_main:
            try:
                result = action()
            except InputError as error:
                result = error
        result = self.broadcast(result)
        if isinstance(result, InputError):
            raise result
        return result

    def equalize_buffers(self, module: torch.nn.Module) -> None:
        """Copy rank 0's buffers to every rank; until DDP's next forward, each rank has its own batch statistics."""
        if self.world_size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum over the ranks."""
        if self.world_size > 1:
            tensor = tensor.clone()
            dist.all_reduce(tensor)
        return tensor


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device for `system.device`; InputError if CUDA is requested and not available."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("system.device: cuda, but torch finds no CUDA device; set system.device=cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise InputError(
            f"--nproc-per-node: local rank {local_rank} has no CUDA device of its own, since there are "
            f"{torch.cuda.device_count()}; lower it"
        )
    return torch.device("cuda", local_rank)


def set_arithmetic(deterministic: bool = False) -> None:
    """Set the precision of float32 arithmetic, and whether cuDNN may benchmark its algorithms."""
    # Crops and training batches have one size each, so benchmarking once pays off at every step. But its choice depends
    # on timing, so it is not reproducible.
    torch.backends.cudnn.benchmark = not deterministic
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    # TF32 has 10 bits: 0.06 px of mu on a crop of 256. Head, flow and loss multiply matrices in exact float32.
    torch.set_float32_matmul_precision("highest")
    # Convolutions, in backbones and heatmap heads, tolerate it: backbones even tolerate bfloat16 with 7 bits.
    torch.backends.cudnn.allow_tf32 = True


@contextmanager
def ranks(config: SystemConfig) -> Iterator[Ranks]:
    """Join the process group of torchrun's environment, and leave it at the end."""
    launch = read_launch()
    device = choose_device(config.device, launch.local_rank or 0)
    if device.type == "cuda" and launch.world_size > 1 and launch.local_rank is None:
        raise InputError("LOCAL_RANK: each rank of a machine needs a CUDA device of its own; number them from 0 by it")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    set_arithmetic(config.deterministic)
    if launch.world_size == 1:
        yield Ranks(launch.rank, 1, device)
        return
    join(launch, device, config.timeout_s)
    yield Ranks(launch.rank, launch.world_size, device)
    # Not after an error: leaving is collective, and other ranks may be waiting elsewhere. torchrun terminates them when
    # this process exits.
    dist.destroy_process_group()
