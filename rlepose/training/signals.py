"""Stop after SIGTERM, SIGINT or SIGUSR1: at the end of the current step, and at the same step on all ranks."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from rlepose.errors import Stopped
from rlepose.runtime.distributed import Ranks

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
Handler = Callable[[int, FrameType | None], None]
T = TypeVar("T")

_PATIENCE = 20  # seconds that ranks, which can only save together, wait for a batch after a signal

log = logging.getLogger(__name__)


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
        self._received = self._at_once = self._waiting = self._agreed = False
        self._process = os.getpid()
        self._reminder: threading.Timer | None = None
        # Uses the network and not the device, concurrently with the step: no kernel waits for it, and it fails as soon
        # as a rank is gone, while a collective of NCCL would wait for its timeout.
        self._group: Any = None
        if ranks.world_size > 1:
            self._group = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout_s))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within this context, let signals request a stop instead of ending the process."""
        with handled(STOP_SIGNALS, self._receive):
            try:
                yield
            finally:
                if self._reminder is not None:
                    self._reminder.cancel()

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

    def until_agreed(self, batches: Iterable[T]) -> Iterator[T]:
        """Batches to take steps with, up to where all ranks agree to stop.

        A signal ends the wait for a batch, which may never come. A single rank agrees with itself then. Several would
        wait for each other in their steps: where the batch does not come soon, Stopped ends this rank, and so the run,
        which goes on from its last checkpoint.
        """
        iterator = iter(batches)
        while not self._agreed:
            try:
                self._waiting = True
                if self._received and self._group is None:
                    raise Stopped
                batch = next(iterator, None)
                self._waiting = False
            except Stopped:
                if self._group is not None:
                    log.warning("a signal came, and no batch within %d s: stopped without saving", _PATIENCE)
                    raise
                self._agreed = True
                return
            finally:
                self._waiting = False
            if batch is None:
                return
            yield batch

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
        again, self._received = self._received, True
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends the process at once
        if self._at_once or (self._waiting and (self._group is None or again)):
            self._waiting = False
            raise Stopped
        if self._group is not None and not again:
            self._reminder = threading.Timer(_PATIENCE, os.kill, (self._process, signal.SIGTERM))
            self._reminder.daemon = True
            self._reminder.start()
