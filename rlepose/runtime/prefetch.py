"""Batches on the device, copied while the device still computes on the batch before."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from typing_extensions import Self


class Movable(Protocol):
    """A batch that can be copied to a device."""

    def to(self, device: torch.device) -> Self:
        """The batch on a device."""

    def tensors(self) -> Iterable[Tensor]:
        """All tensors of the batch."""


MovableBatch = TypeVar("MovableBatch", bound=Movable)


def on_device(batches: Iterable[MovableBatch], device: torch.device) -> Iterator[tuple[MovableBatch, MovableBatch]]:
    """Each batch as the loader gives it, and on the device.

    On CUDA the copy runs in a stream of its own, and the computing stream, not the host, waits for it. The host
    launches a step and comes back for the next batch while the device is still busy with that step, so there is nothing
    to fetch ahead. The loader has to pin its memory: from pageable memory a copy makes the host wait.
    """
    copying = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
    for batch in batches:
        if copying is None:
            yield batch, batch.to(device)
            continue
        with torch.cuda.stream(copying):
            moved = batch.to(device)
        computing = torch.cuda.current_stream(device)
        computing.wait_stream(copying)
        for tensor in moved.tensors():
            tensor.record_stream(computing)  # its memory is free again when the step, not the copy, is done with it
        yield batch, moved
