"""Run all trainings and validations of a suite in processes, until time is up or a signal stops them."""

import logging
import math
import queue
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rlepose.comparison.processes import Processes, ProcessStoppedError, places
from rlepose.comparison.record import record_of
from rlepose.comparison.record_files import write_record
from rlepose.comparison.state import State, state_of
from rlepose.comparison.suite import Run, Suite, run_name
from rlepose.training.signals import STOP_SIGNALS, handled

log = logging.getLogger(__name__)

RLEPOSE = ("-m", "rlepose")  # Python's arguments to run the program `rlepose`

# Events for the main thread: a run that has ended, or the number of a signal.
_Events = queue.SimpleQueue[Future[State] | int]


@dataclass
class Outcome:
    """The result of a comparison, by run name; interrupted runs with their progress."""

    finished: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    not_begun: list[str] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        """Whether work remains because a stop was requested."""
        return bool(self.interrupted or self.not_begun)

    def __str__(self) -> str:
        names = ("finished", "failed", "interrupted", "not begun")
        lists = (self.finished, self.failed, self.interrupted, self.not_begun)
        return "\n".join(f"{name}: {', '.join(some)}" for name, some in zip(names, lists, strict=True) if some)


def run_all(
    suite: Suite,
    rows: Sequence[str] | None = None,
    *,
    jobs: int | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    until: float = math.inf,
    records: Path | None = None,
    program: Sequence[str] = RLEPOSE,
) -> Outcome:
    """Train and validate all unfinished runs; a failed run does not stop others.

    rows: their names, default all. jobs, threads: see `places`.
    overwrite: retrain runs that exist with another config; otherwise such a run fails. until: time after which nothing
    is started, on the clock of `time.monotonic`. records: folder for a record of each run as soon as it is finished.
    program: Python's arguments before `train` or `validate` and their arguments. Output goes to logs/<run>.log in the
    suite's folder.

    At `until`, and on SIGINT, SIGTERM, SIGUSR1 or SIGHUP, trainings save and exit, and validations in progress finish.
    A second SIGINT kills all.
    """
    runs = {run.name: run for run in suite.runs(rows)}
    for folder in filter(None, (suite.out / "logs", records)):
        folder.mkdir(parents=True, exist_ok=True)
    events: _Events = queue.SimpleQueue()
    where = places(jobs, threads)
    processes = Processes(where, until)
    futures: dict[str, Future[State]] = {}
    pool = ThreadPoolExecutor(len(where))
    try:
        with _signals_among(events):
            for name, run in runs.items():
                earlier = futures[run_name(run.row.after, run.seed)] if run.row.after else None
                futures[name] = pool.submit(_finish, suite, run, program, processes, earlier, overwrite)
                futures[name].add_done_callback(events.put)
            names = {future: name for name, future in futures.items()}
            for number, future in enumerate(_as_they_end(len(runs), events, processes), 1):
                name, problem = names[future], future.exception()
                if problem is None:
                    log.info("%d/%d  %s is finished", number, len(runs), name)
                    if records is not None:
                        write_record(records, record_of(suite, runs[name], future.result()))
                elif not isinstance(problem, ProcessStoppedError):
                    log.error("%d/%d  %s FAILED: %s", number, len(runs), name, problem)
    finally:
        # Reached early after an unexpected error: no training may continue unobserved.
        processes.stop()
        pool.shutdown(cancel_futures=True)
    return _outcome(runs.values(), futures)


def _outcome(runs: Iterable[Run], futures: Mapping[str, Future[State]]) -> Outcome:
    outcome = Outcome()
    for run in runs:
        problem = futures[run.name].exception()
        if problem is None:
            outcome.finished.append(run.name)
        elif not isinstance(problem, ProcessStoppedError):
            outcome.failed.append(run.name)
        elif (state := state_of(run)).progress in ("interrupted", "trained"):
            outcome.interrupted.append(f"{run.name} ({state.detail})")
        else:
            outcome.not_begun.append(run.name)
    return outcome


@contextmanager
def _signals_among(events: _Events) -> Iterator[None]:
    """Put stop signals into the queue, except ignored ones, such as SIGHUP under nohup."""
    numbers = (*STOP_SIGNALS, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    with handled(heeded, lambda number, _: events.put(number)):
        yield


def _as_they_end(count: int, events: _Events, processes: Processes) -> Iterator[Future[State]]:
    """Yield this many runs as they end; meanwhile, respond to signals and the time limit."""
    while count:
        try:
            event = events.get(timeout=processes.seconds_to_wait())
        except queue.Empty:
            _stop(processes, "the time is up")
            continue
        if isinstance(event, Future):
            count -= 1
            yield event
        elif event == signal.SIGINT and processes.stopped:
            log.warning("second Ctrl-C: killing all processes")
            processes.kill()
        else:
            _stop(processes, f"{signal.Signals(event).name} came")


def _stop(processes: Processes, reason: str) -> None:
    log.warning("%s: trainings save and exit, validations finish", reason)
    processes.stop()


def _finish(
    suite: Suite,
    run: Run,
    program: Sequence[str],
    processes: Processes,
    earlier: "Future[State] | None",
    overwrite: bool,
) -> State:
    """Return the state of the finished run.

    earlier: the run that it starts from. Raises RuntimeError if the run cannot be finished, and ProcessStoppedError if
    a stop was requested.
    """
    problem = None if earlier is None else earlier.exception()  # waits for the earlier run
    state, started = state_of(run), time.monotonic()
    if state.progress == "finished":
        return state
    if state.progress == "other" and not overwrite:
        raise RuntimeError(f"{state.detail}; pass --overwrite to retrain it, or --out DIR to keep both")
    if isinstance(problem, ProcessStoppedError):
        raise ProcessStoppedError
    if problem is not None:
        raise RuntimeError(f"row {run.row.after}, from which it starts, failed")
    data = run.validation.data
    if data.detections is not None and not (Path(data.root) / data.detections).is_file():
        raise RuntimeError(f"data.detections: {Path(data.root) / data.detections} does not exist")
    log.info("%s: %s", run.name, state.detail)
    output = suite.out / "logs" / f"{run.name}.log"
    if state.progress != "trained":
        how = "--resume" if state.progress == "interrupted" else "--overwrite"
        arguments = ["--cfg", str(run.row.cfg), how, "--set", *suite.arguments(run.row, run.seed)]
        processes.run([*program, "train", *arguments], output, resumable=True)
    arguments = ["--checkpoint", str(run.experiment.best), *(["--calibration"] if run.row.calibration else [])]
    overrides = suite.validate_arguments(run.row)
    arguments += ["--set", *overrides] if overrides else []
    processes.run([*program, "validate", *arguments], output, resumable=False)
    state = state_of(run)
    if state.progress != "finished":
        raise RuntimeError(f"its processes succeeded, but it is {state.detail}; see {output}")
    log.info("%s: took %.0f s", run.name, time.monotonic() - started)
    return state
