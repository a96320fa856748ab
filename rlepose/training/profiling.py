"""Measure what a training step waits for: the data loader, the host's kernel launches, or the device."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from rlepose.runtime.distributed import Ranks
from rlepose.runtime.prefetch import on_device
from rlepose.training.task import Task

log = logging.getLogger(__name__)

_SETTLING_STEPS = 3  # for compilation, the choice of convolution algorithms, and the allocator
_ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")  # categories of GPU work in the trace
_BUSY = 0.9  # a device that is busy for at least this fraction of the time is the bottleneck, whatever launching took


@dataclass(frozen=True)
class StepTimes:
    """Mean seconds of a step: in total, waiting for a batch, launching kernels, and with the device busy.

    On a GPU, the three parts overlap. On the CPU, everything except waiting for a batch counts as the device.
    """

    whole: float
    loader: float
    host: float
    device: float

    @property
    def bottleneck(self) -> str:
        """'loader', 'host' or 'device'."""
        if self.device >= _BUSY * self.whole:
            return "device"  # launching also waits while the queue is full
        parts = {"loader": self.loader, "host": self.host, "device": self.device}
        return max(parts, key=lambda name: parts[name])

    def __str__(self) -> str:
        parts = [
            ("waiting for the loader", self.loader),
            *([("launching", self.host)] if self.host else []),
            ("device busy", self.device),
        ]
        shares = ", ".join(f"{what} {seconds / self.whole:.0%}" for what, seconds in parts)
        return f"{self.bottleneck}: of a step of {self.whole * 1000:.0f} ms {shares}"


def profile_training(task: Task, step: Callable[[Any], Any], steps: int, trace: Path, ranks: Ranks) -> StepTimes:
    """Time `steps` steps, then record as many in the file `trace`; log the bottleneck in one line.

    step: takes a batch on the device. The steps change the weights, but nothing is saved. Collective: every rank must
    call; rank 0 logs.
    """
    # Workers have loaded batches in advance; until these are used up, a slow loader looks fast.
    stock = task.loader.num_workers * (task.loader.prefetch_factor or 0)
    batches = _endless(task, ranks.device)
    run = partial(_run, task, step, batches, ranks.device)
    run(_SETTLING_STEPS + 2 * stock)
    times = run(steps)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if ranks.device.type == "cuda" else [])]
    with profile(activities=activities) as recorded:
        run(steps)
    if ranks.is_main:
        recorded.export_chrome_trace(str(trace))
        if ranks.device.type == "cuda":
            times = StepTimes(times.whole, times.loader, times.host, device_seconds(trace) / steps)
        log.info("bottleneck      %s; trace of %d steps: %s", times, steps, trace)
    return times


def device_seconds(trace: Path) -> float:
    """Return how long a GPU was busy according to a Chrome trace; concurrent work counts once."""
    events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e.get("cat") in _ON_DEVICE and "dur" in e)
    total, until = 0.0, float("-inf")
    for start, end in spans:
        total += max(end - max(start, until), 0.0)
        until = max(until, end)
    return total / 1e6


def _endless(task: Task, device: torch.device) -> Iterator[tuple[Any, Any]]:
    while True:
        yield from on_device(task.loader, device)
        task.order.epoch += 1


def _run(
    task: Task, step: Callable[[Any], Any], batches: Iterator[tuple[Any, Any]], device: torch.device, steps: int
) -> StepTimes:
    """Run and time steps. On CUDA, the device time is not known yet, and 0."""
    on_gpu = device.type == "cuda"
    loader = launching = 0.0
    before = time.perf_counter()
    for _ in range(steps):
        started = time.perf_counter()
        batch, moved = next(batches)
        fetched = time.perf_counter()
        task.note_problems(batch.problems)
        step(moved)
        loader, launching = loader + fetched - started, launching + time.perf_counter() - fetched
    if on_gpu:
        torch.cuda.synchronize(device)
    whole = time.perf_counter() - before
    return StepTimes(whole / steps, loader / steps, *((launching / steps, 0.0) if on_gpu else (0.0, launching / steps)))
