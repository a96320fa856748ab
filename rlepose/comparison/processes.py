"""Run the processes of a comparison, some in parallel, each in its own slot, until a stop is requested."""

import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from rlepose.errors import STOPPED


class ProcessStoppedError(Exception):
    """A process was not started, or ended before its work was done, because a stop was requested."""


class Processes:
    """Running Python scripts.

    places: the environment variables of each slot for a parallel process. until: time after which no process starts, on
    the clock of `time.monotonic`.
    """

    def __init__(self, places: Iterable[Mapping[str, str]], until: float) -> None:
        self._free: queue.SimpleQueue[Mapping[str, str]] = queue.SimpleQueue()
        for place in places:
            self._free.put(place)
        self._until = until
        self._lock = threading.Lock()
        self._running: dict[subprocess.Popen[bytes], bool] = {}
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Return whether `stop` was called."""
        return self._stopped

    def seconds_to_wait(self) -> float | None:
        """Return the seconds until the time is up; None if stopped, or without a limit."""
        if self._stopped or math.isinf(self._until):
            return None
        return min(max(0.0, self._until - time.monotonic()), threading.TIMEOUT_MAX)

    def run(self, command: Sequence[str], output: Path, resumable: bool) -> None:
        """Run a script to its end and append its output to a file.

        resumable: whether it responds to SIGTERM by saving and exiting; `stop` does not signal other scripts.
        Raises ProcessStoppedError, and RuntimeError with the last line of output if the script fails.
        """
        place = self._free.get()
        try:
            process = self._start(command, output, place, resumable)
            code = process.wait()
        finally:
            self._free.put(place)
        with self._lock:
            del self._running[process]
        if code == STOPPED or (code < 0 and self._stopped):
            raise ProcessStoppedError
        if code:
            lines = output.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "no output")
            raise RuntimeError(f"{last.removeprefix('error: ')} (exit code {code}, see {output})")

    def _start(
        self, command: Sequence[str], output: Path, place: Mapping[str, str], resumable: bool
    ) -> "subprocess.Popen[bytes]":
        with self._lock, output.open("ab") as file:
            if self._stopped or time.monotonic() >= self._until:
                raise ProcessStoppedError
            process = subprocess.Popen(
                [sys.executable, *command],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | place,
                start_new_session=True,  # so that Ctrl-C only reaches this process, which signals resumable ones
            )
            self._running[process] = resumable
            return process

    def stop(self) -> None:
        """Start no more processes, and ask resumable ones to save and exit."""
        with self._lock:
            self._stopped = True
            for process, resumable in self._running.items():
                if resumable:
                    process.terminate()  # no effect on a process that has ended

    def kill(self) -> None:
        """Start no more processes, and kill all at once."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()


def places(jobs: int | None, threads: int | None) -> list[Mapping[str, str]]:
    """Return the environment variables of each slot for a parallel process.

    jobs: number of slots, default one per CUDA device, else one. threads: CPU threads of torch in each; default:
    without CUDA an equal share of the cores, with CUDA unchanged.
    """
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",")[:count] if visible else [str(number) for number in range(count)]
    jobs = jobs or max(1, len(devices))
    if threads is None and not devices:
        threads = max(1, torch.get_num_threads() // jobs)
    shared = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return [
        shared | ({"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]} if devices else {}) for number in range(jobs)
    ]
