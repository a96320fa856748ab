"""Batches on the device, copied while the device still computes on the batch before."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from rlepose.datasets.crops import to_device


def on_device(
    batches: Iterable[dict[str, Any]], device: torch.device
) -> Iterator[tuple[dict[str, Any], dict[str, Tensor]]]:
    """Each batch as the loader gives it, and its tensors on the device.

    On CUDA the copy runs in a stream of its own, and the computing stream, not the host, waits for it. The host
    launches a step and comes back for the next batch while the device is still busy with that step, so there is nothing
    to fetch ahead. The loader has to pin its memory: from pageable memory a copy makes the host wait.
    """
    copying = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
    for batch in batches:
        if copying is None:
            yield batch, to_device(batch, device)
            continue
        with torch.cuda.stream(copying):
            tensors = to_device(batch, device)
        computing = torch.cuda.current_stream(device)
        computing.wait_stream(copying)
        for tensor in tensors.values():
            tensor.record_stream(computing)  # its memory is free again when the step, not the copy, is done with it
        yield batch, tensors
