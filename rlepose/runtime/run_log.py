"""The logs of a run: train.log, metrics.jsonl, TensorBoard events."""

import json
import logging
import sys
from collections.abc import Hashable, Iterable
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm


class _AboveProgressBar(logging.Handler):
    """Print to stdout without breaking a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)


# Names in metrics.jsonl of earlier versions, and their names now.
_FORMER_NAMES = {"images": "persons", "train/images_per_second": "train/persons_per_second"}


class _Once(logging.Filter):
    """Let only the first message with the same `extra={"once": key}` pass."""

    def __init__(self) -> None:
        super().__init__()
        self._first: dict[Hashable, logging.LogRecord] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key = getattr(record, "once", None)
        return key is None or self._first.setdefault(key, record) is record


# Buffers messages until the experiment's folder is known.
_early = MemoryHandler(capacity=10_000, flushLevel=logging.CRITICAL + 1)


def setup_logging(is_main: bool) -> None:
    """Send messages of rank 0 to the terminal, above a progress bar; other ranks only report errors."""
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(logging.INFO if is_main else logging.ERROR)
    terminal = _AboveProgressBar()
    terminal.setFormatter(logging.Formatter("%(message)s"))
    once = _Once()
    terminal.addFilter(once)
    _early.filters[:] = [once]
    root.addHandler(terminal)
    root.addHandler(_early)
    logging.captureWarnings(True)


def log_to_file(file: Path) -> None:
    """Also write all messages to a file, including those since `setup_logging`."""
    to_file = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for once in _early.filters:
        to_file.addFilter(once)
    root = logging.getLogger()
    _early.setTarget(to_file)
    _early.flush()
    root.removeHandler(_early)
    root.addHandler(to_file)


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of an experiment's metrics.jsonl; [] if there is no such file.

    Names of earlier versions are replaced.
    """
    lines = read_json_lines(folder / "metrics.jsonl")
    return [{_FORMER_NAMES.get(name, name): value for name, value in line.items()} for line in lines]


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file, without an incomplete last line of a killed process; [] if there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def curve(history: Iterable[dict[str, Any]], name: str, batch_size: int) -> list[tuple[int, float]]:
    """Return (training persons seen, value) for each line that has the metric `name`.

    batch_size: for lines of older versions, which only contain steps.
    """
    return [
        (line.get("persons", line["step"] * batch_size), line[name]) for line in history if line.get(name) is not None
    ]


class RunLog:
    """Numbers and images of one run; does nothing on ranks other than 0.

    Each call of `scalars` writes one line to metrics.jsonl, {"step": …, "persons": …, "epoch": …, name: value, …}, and
    one point per name to TensorBoard. The run starts or continues after `lines` lines and `step` steps: later entries
    of an interrupted run are deleted, because the steps are repeated.
    """

    def __init__(self, folder: Path, is_main: bool, lines: int = 0, step: int = 0) -> None:
        self.lines = lines
        self._jsonl = None
        if not is_main:
            return
        from torch.utils.tensorboard import SummaryWriter  # the import takes a second

        path = folder / "metrics.jsonl"
        written = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        aside = path.with_name(path.name + ".tmp")
        aside.write_text("".join(line for line in written[:lines] if line.endswith("\n")), encoding="utf-8")
        aside.replace(path)
        self._jsonl = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    def scalars(self, values: dict[str, Any], step: int, persons: int, epoch: float) -> None:
        """Log numbers with the counts of steps, training persons and epochs so far; None for an undefined number."""
        self.lines += 1
        if self._jsonl is None:
            return
        self._jsonl.write(json.dumps({"step": step, "persons": persons, "epoch": round(epoch, 4), **values}) + "\n")
        self._jsonl.flush()
        for name, value in values.items():
            if value is not None:
                self._board.add_scalar(name, value, step)

    def picture(self, name: str, image: np.ndarray[Any, Any], step: int) -> None:
        """Log an RGB uint8 image (H, W, 3)."""
        if self._jsonl is not None:
            self._board.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        if self._jsonl is not None:
            self._jsonl.close()
            self._board.close()
