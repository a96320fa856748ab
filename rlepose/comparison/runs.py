"""Bringing every run of a suite to its end, each in a process of its own."""

import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import torch

from rlepose.comparison.state import state_of
from rlepose.comparison.suite import Run, Suite, run_name

log = logging.getLogger(__name__)


def run_all(
    suite: Suite,
    scripts: Path,
    rows: Sequence[str] | None = None,
    jobs: int | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Train and validate what is not finished; -> the names of the runs that failed, which stop no other.

    scripts: folder of train.py and validate.py. rows: their names, default all. jobs: runs at a time, default one for
    each CUDA device, or one. overwrite: train anew what is there with another config; without it such a run fails.
    Output goes to logs/<run>.log below the suite's folder.
    """
    runs = suite.runs(rows)
    (suite.out / "logs").mkdir(parents=True, exist_ok=True)
    free: queue.SimpleQueue[Mapping[str, str]] = queue.SimpleQueue()
    places = _places(jobs)
    for place in places:
        free.put(place)
    processes = _Processes(free)
    futures: dict[str, Future[None]] = {}
    pool = ThreadPoolExecutor(len(places))
    failed = []
    try:
        for run in runs:
            earlier = futures[run_name(run.row.after, run.seed)] if run.row.after else None
            futures[run.name] = pool.submit(_finish, suite, run, scripts, processes, earlier, overwrite)
        names = {future: name for name, future in futures.items()}
        for number, future in enumerate(as_completed(names), 1):
            problem = future.exception()
            if problem is not None:
                failed.append(names[future])
                log.error("%d/%d  %s FAILED: %s", number, len(runs), names[future], problem)
            else:
                log.info("%d/%d  %s is finished", number, len(runs), names[future])
    finally:
        # Reached early when somebody stops the comparison: nothing may go on training unseen.
        pool.shutdown(wait=False, cancel_futures=True)
        processes.stop()
    return [run.name for run in runs if run.name in failed]


def _finish(
    suite: Suite, run: Run, scripts: Path, processes: "_Processes", earlier: "Future[None] | None", overwrite: bool
) -> None:
    """RuntimeError where the run cannot be brought to its end. earlier: the run that it starts from."""
    start_failed = earlier is not None and earlier.exception() is not None  # waits for it
    state, started = state_of(run), time.monotonic()
    if state.kind == "finished":
        return
    if state.kind == "other" and not overwrite:
        raise RuntimeError(f"{state.detail}; pass --overwrite to train it anew, or --out DIR to keep both")
    if start_failed:
        raise RuntimeError(f"the row {run.row.after}, which it starts from, failed")
    data = run.config.data
    if data.detections is not None and not (Path(data.root) / data.detections).is_file():
        raise RuntimeError(f"data.detections: {Path(data.root) / data.detections} does not exist")
    log.info("%s: %s", run.name, state.detail)
    output = suite.out / "logs" / f"{run.name}.log"
    if state.kind != "trained":
        how = "--resume" if state.kind == "interrupted" else "--overwrite"
        arguments = ["--cfg", str(run.row.cfg), how, "--set", *suite.arguments(run.row, run.seed)]
        processes.run([str(scripts / "train.py"), *arguments], output)
    arguments = ["--checkpoint", str(run.experiment.best), *(["--calibration"] if run.row.calibration else [])]
    processes.run([str(scripts / "validate.py"), *arguments], output)
    state = state_of(run)
    if state.kind != "finished":
        raise RuntimeError(f"its processes ended well, but it is {state.detail}; see {output}")
    log.info("%s: took %.0f s", run.name, time.monotonic() - started)


class _Processes:
    """The processes of a comparison, each in a free place."""

    def __init__(self, free: "queue.SimpleQueue[Mapping[str, str]]") -> None:
        self._free = free
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopped = False

    def run(self, command: list[str], output: Path) -> None:
        """A script to its end, its output appended to a file; RuntimeError with its last line where it fails."""
        place = self._free.get()
        try:
            code = self._start(command, output, place).wait()
        finally:
            self._free.put(place)
        if code:
            lines = output.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "no output")
            raise RuntimeError(f"{last.removeprefix('error: ')} (exit code {code}, see {output})")

    def _start(self, command: list[str], output: Path, place: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        with self._lock, output.open("ab") as file:
            if self._stopped:
                raise RuntimeError("stopped")
            process = subprocess.Popen(
                [sys.executable, *command], stdout=file, stderr=subprocess.STDOUT, env=os.environ | place
            )
            self._running.append(process)
            return process

    def stop(self) -> None:
        """End all, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()  # does nothing to one that has ended


def _places(jobs: int | None) -> list[Mapping[str, str]]:
    """Where runs can run at a time: the environment variables of each place."""
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",")[:count] if visible else [str(number) for number in range(count)]
    jobs = jobs or max(1, len(devices))
    if devices:
        return [{"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]} for number in range(jobs)]
    return [{"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // jobs))}] * jobs
