"""Stop after SIGTERM, SIGINT or SIGUSR1: at the end of the current step, and at the same step on all ranks."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from rlepose.errors import Stopped
from rlepose.runtime.distributed import Ranks

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
Handler = Callable[[int, FrameType | None], None]


@contextmanager
def handled(numbers: Iterable[signal.Signals], handler: Handler) -> Iterator[None]:
    """Install a signal handler within this context; do nothing outside the main thread, because Python runs handlers
    only there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class StopSignals:
    """A stop request to any rank, and the agreement of all ranks to stop."""

    def __init__(self, ranks: Ranks, timeout_s: float) -> None:
        self._received = self._at_once = self._agreed = False
        self._process = os.getpid()
        # Uses the network and not the device, concurrently with the step: no kernel waits for it, and it fails as soon
        # as a rank is gone, while a collective of NCCL would wait for its timeout.
        self._group: Any = None
        if ranks.world_size > 1:
            self._group = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout_s))

    def listening(self) -> AbstractContextManager[None]:
        """Within this context, let signals request a stop instead of ending the process."""
        return handled(STOP_SIGNALS, self._receive)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within this context, let a signal raise Stopped at once, on this rank alone: there is nothing to lose."""
        self._at_once = True
        if self._received:
            raise Stopped
        try:
            yield
        finally:
            self._at_once = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Wrap a training step: ask the other ranks during it, and have their answer afterwards."""
        if self._group is None:
            yield
            self._agreed = self._received
            return
        asked = torch.tensor(int(self._received))
        answer = dist.all_reduce(asked, dist.ReduceOp.MAX, group=self._group, async_op=True)
        yield
        assert answer is not None
        answer.wait()
        self._agreed = bool(asked)

    @property
    def agreed(self) -> bool:
        """Whether all ranks stop after the last step, because one of them was asked to."""
        return self._agreed

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # in a loader worker, which ignores signals to the whole process group
        self._received = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends the process at once
        if self._at_once:
            raise Stopped
