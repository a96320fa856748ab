"""The ranks of a run: one process a device, started by torchrun, or a single process without it."""

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
    """This process among its siblings, and the device it computes on."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value (anything picklable), in rank order, on every rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: Any) -> Any:
        """Rank 0's value on every rank."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def on_main(self, action: Callable[[], Any]) -> Any:
        """Run `action` on rank 0 only; every rank gets its result, or its InputError."""
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
        """Give every rank rank 0's buffers: each rank's batch statistics are its own until DDP's next forward."""
        if self.world_size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over the ranks."""
        if self.world_size > 1:
            tensor = tensor.clone()
            dist.all_reduce(tensor)
        return tensor


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device of `system.device`; InputError when CUDA is asked for and not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("system.device: cuda is asked for, but torch sees no CUDA device; set system.device=cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise InputError(
            f"there are {torch.cuda.device_count()} CUDA devices but local rank {local_rank} needs its own; "
            "lower --nproc-per-node"
        )
    return torch.device("cuda", local_rank)


def set_arithmetic(deterministic: bool = False) -> None:
    """State how this process computes in float32, and whether cuDNN may try its algorithms."""
    # Crops have one size and training batches one too, so what is tried once pays at every step. But it is the clock
    # that chooses.
    torch.backends.cudnn.benchmark = not deterministic
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    # TF32 has 10 bits: 0.06 px of mu on a crop of 256. Head, flow and loss multiply matrices in exact float32.
    torch.set_float32_matmul_precision("highest")
    # Convolutions, in backbones and in the heads for heatmaps, bear it: backbones bear bfloat16's 7 bits.
    torch.backends.cudnn.allow_tf32 = True


@contextmanager
def ranks(config: SystemConfig) -> Iterator[Ranks]:
    """Join the process group that torchrun's environment describes, and leave it at the end."""
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
    # Not after an error: leaving is collective, and the others may be waiting for this rank elsewhere. torchrun ends
    # them when this process ends.
    dist.destroy_process_group()
