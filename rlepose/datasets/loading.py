"""Batches of crops from processes that load them, and an end to every wait for these."""

import atexit
import contextlib
import multiprocessing
import multiprocessing.queues
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, NamedTuple

import cv2
import torch
from torch.utils.data import DataLoader

from rlepose.datasets.batches import EvalBatches, TrainBatches
from rlepose.datasets.crops import PoseDataset, collate
from rlepose.datasets.worker_room import check_room, warn_of_cores
from rlepose.errors import MachineError, first_line

_PREFETCH = 2  # batches that each worker loads ahead
_SECONDS_AFTER_SIGTERM = 10  # for the step to end and a checkpoint to be written
_SECONDS_TO_DIE = 5  # that the system takes to say how a worker ended

# What the system says where a batch could not be sent, and what mends it.
_FIXES = {
    "No space left": "give the container more shared memory (docker run --shm-size=8g, or --ipc=host)",
    "AF_UNIX": "set TMPDIR to a short path, such as /tmp",
    "Too many open files": "raise the limit on open files (ulimit -n 65536)",
}


class Unsent(NamedTuple):
    """What comes in the place of a batch that a worker could not send."""

    reason: str


class WatchedLoader(DataLoader[Any]):
    """A DataLoader that ends with the cause where torch's would wait for ever.

    limit_s: seconds that it waits for a batch; in the main thread, since Python hears of the time in this alone.
    Raises MachineError where no batch comes in time, or where a worker cannot send one. Whatever ends a wait ends the
    workers: nothing waits for them afterwards, either.
    """

    def __init__(self, *args: Any, limit_s: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self.limit_s = limit_s
        self._workers: list[BaseProcess] = []

    def check_worker_number_rationality(self) -> None:
        """Log a warning if there are more workers than cores; torch's own neither names the option nor counts ranks."""
        warn_of_cores(self.num_workers)

    def __iter__(self) -> Any:
        if not self.num_workers:
            yield from super().__iter__()
            return
        before = multiprocessing.active_children()
        with self._in_time():
            batches = super().__iter__()
        if not self._workers:  # else they were kept
            self._workers = [child for child in multiprocessing.active_children() if child not in before]
            _all_workers.update(self._workers)
        while True:
            with self._in_time():
                batch = next(batches, None)
                if isinstance(batch, Unsent):
                    raise MachineError(self._why_unsent(batch.reason))
            if batch is None:
                return
            yield batch

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        """Around each wait for the workers."""
        try:
            try:
                with _time_limit(self.limit_s, self._why_late()):
                    yield
            except (ConnectionError, EOFError) as error:  # a worker died while its batch was taken from it
                raise RuntimeError(self._lost_worker()) from error
        except BaseException:
            _kill(self._workers)
            raise

    def _lost_worker(self) -> str:
        """What torch says of a worker that died, had it not failed before."""
        ends = time.monotonic() + _SECONDS_TO_DIE
        while time.monotonic() < ends:
            for worker in self._workers:
                if worker.exitcode is not None:
                    how = f"killed by signal: {signal.strsignal(-worker.exitcode)}" if worker.exitcode < 0 else "gone"
                    return f"DataLoader worker (pid {worker.pid}) is {how}"
            time.sleep(0.01)
        return "DataLoader worker is gone"

    def _why_late(self) -> str:
        return (
            f"no batch came within system.worker_timeout_s={self.limit_s:g} s from the {self.num_workers} workers that "
            "load pictures: the disk or network that holds data.root may hang, or be slower than that; look at it, "
            "raise the limit, or set system.workers=0, which shows where loading stands still"
        )

    def _why_unsent(self, reason: str) -> str:
        fix = next((fix for words, fix in _FIXES.items() if words in reason), "see what is special about the batch")
        return f"a worker that loads pictures could not send its batch ({reason}); {fix}, or set system.workers=0"


def make_loader(
    dataset: PoseDataset, batches: TrainBatches | EvalBatches, workers: int, pin_memory: bool, limit_s: float = 600
) -> WatchedLoader:
    """A loader that keeps its workers, and does not touch the global random state.

    limit_s: how long it waits for a batch. InputError where its workers would have no room to send their batches.
    """
    check_room(workers, _PREFETCH, len(batches), batches.largest * dataset.item_bytes)
    # The workers are the parallelism. Here and not in the workers: a process that is forked while OpenCV has threads
    # hangs in its first call of OpenCV, since it inherits the locks but not the threads.
    cv2.setNumThreads(0)
    return WatchedLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        prefetch_factor=_PREFETCH if workers else None,
        persistent_workers=workers > 0,
        worker_init_fn=_prepare_worker,
        generator=torch.Generator().manual_seed(0),
        limit_s=limit_s,
    )


def _prepare_worker(_: int) -> None:
    """Leave signals to the main process, and tell it of batches that cannot be sent.

    A signal to the whole group of processes is for the main process to answer, which needs its workers meanwhile. But
    where it fails, it ends them by SIGTERM and waits for them; so they obey, some seconds later.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_SECONDS_AFTER_SIGTERM))
    # What a queue does with an object that it cannot send: it prints a traceback and forgets the object, for which the
    # main process waits.
    multiprocessing.queues.Queue._on_queue_feeder_error = _send_reason  # type: ignore[attr-defined]


def _send_reason(queue: Any, error: Exception, unsent: tuple[Any, Any]) -> None:
    queue.put((unsent[0], Unsent(first_line(error))))


@contextlib.contextmanager
def _time_limit(seconds: float, message: str) -> Iterator[None]:
    """MachineError with this message if it lasts longer; no limit outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise MachineError(message)

    before = signal.signal(signal.SIGALRM, ring)
    # Again and again: what is raised while an object is deleted is printed and forgotten.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _kill(workers: list[BaseProcess]) -> None:
    """End workers that need not answer: SIGTERM is nothing to who hangs, and Python would wait for them at its end."""
    for worker in workers:
        while worker.exitcode is None:
            with contextlib.suppress(RuntimeError):  # torch's, at any time after a worker was killed
                worker.kill()
                worker.join()


_all_workers: "weakref.WeakSet[BaseProcess]" = weakref.WeakSet()
# Before multiprocessing waits for them, which it does without a limit.
atexit.register(lambda: _kill(list(_all_workers)))
