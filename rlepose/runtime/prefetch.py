"""Copy batches to the device while it computes on the previous batch."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from typing_extensions import Self


class Movable(Protocol):
    """A batch that can be copied to a device."""

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device."""

    def tensors(self) -> Iterable[Tensor]:
        """Return all tensors of the batch."""


MovableBatch = TypeVar("MovableBatch", bound=Movable)


def on_device(batches: Iterable[MovableBatch], device: torch.device) -> Iterator[tuple[MovableBatch, MovableBatch]]:
    """Yield each batch as loaded, and on the device.

    On CUDA, copies run in a separate stream, for which the compute stream waits and the host does not. The host
    launches a step and requests the next batch while the device is still busy, so no batch is fetched in advance. The
    loader must pin its memory: copies from pageable memory block the host.
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
            tensor.record_stream(computing)  # so that its memory is reused only after the step
        yield batch, moved
