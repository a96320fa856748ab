"""Runs as their users start them, to be signalled and killed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.runtime.checkpoint import load_checkpoint

REPOSITORY = Path(__file__).parent.parent.parent
SECONDS = 60  # what a run may take at most; no test needs them unless it fails


class Run:
    """A training in processes of its own, found by a mark in their environment: torchrun gives each rank a session."""

    script = REPOSITORY / "scripts" / "train.py"

    def __init__(self, folder: Path, overrides: list[str], *arguments: str, ranks: int = 1, launcher: str = "") -> None:
        self.folder = folder
        number = str(uuid.uuid4())
        self._mark = f"RLEPOSE_TEST_RUN={number}"
        # Not a pipe, which fills up while nobody reads, and stays open as long as any process of the run lives.
        self._printed = folder.parent.parent / f"printed-{number}"
        launch = ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}", *(launcher or "--standalone").split()]
        environment = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "RLEPOSE_TEST_RUN": number}
        command = [
            sys.executable,
            *(launch if ranks > 1 else []),
            str(self.script),
            *("--cfg", "configs/synthetic_res18_rle.yaml", "--name", folder.name, *arguments, "--set", *overrides),
        ]
        with self._printed.open("w") as printed:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=os.environ | environment,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until(self, what: Callable[[], Any], name: str) -> Any:
        """What `what` returns as soon as that is true; AssertionError if the run ends before, or it takes too long."""
        for _ in range(20 * SECONDS):
            ended = self.process.poll() is not None
            if answer := what():
                return answer
            if ended:
                break
            time.sleep(0.05)
        raise AssertionError(f"{name} never came: {self.end(0)[1]}")

    def wait_for_step(self, step: int) -> None:
        """Until metrics.jsonl tells of this step; the option train.log_every has to be 1."""
        path = self.folder / "metrics.jsonl"

        def reached() -> bool:
            lines = path.read_text().split("\n")[:-1] if path.exists() else []
            return bool(lines) and json.loads(lines[-1])["step"] >= step

        self.wait_until(reached, f"step {step}")

    def wait_for_signal_to_arrive(self, processes: list[int]) -> None:
        """Until one of the processes has taken note of a signal: it leaves SIGINT to the system then."""

        def noted(process: int) -> bool:
            status = Path(f"/proc/{process}/status").read_text()
            caught = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), 16)
            return not caught >> (signal.SIGINT - 1) & 1

        self.wait_until(lambda: any(map(noted, processes)), "the signal")

    def ranks(self) -> list[int]:
        """The process ids of torchrun's children, in the order in which they were started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def end(self, seconds: float = SECONDS) -> tuple[int, str]:
        """Exit code and what was printed; the run is killed if it takes longer."""
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
            self.kill()
        return code, self._printed.read_text()

    def kill(self) -> None:
        """End every process of the run at once, also one that its parent left behind."""
        while alive := self._alive():
            for process in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.02)
        self.process.wait()

    def _alive(self) -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours; of a zombie nothing is left
                if self._mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found


class Gate:
    """One picture of a data set that nobody can read until the test allows it: whoever wants to, waits."""

    def __init__(self, data: Path) -> None:
        self._picture = min((data / "train").iterdir())
        self._content = self._picture.read_bytes()
        self._picture.unlink()
        os.mkfifo(self._picture)
        self._pipe: int | None = None

    def wait_for(self, run: Run) -> None:
        """Until the run wants the picture; it is in the middle of a step then."""

        def somebody_reads() -> bool:
            with contextlib.suppress(OSError):
                self._pipe = os.open(self._picture, os.O_WRONLY | os.O_NONBLOCK)
            return self._pipe is not None

        run.wait_until(somebody_reads, "the picture at the gate")

    def open(self) -> None:
        """Give the picture to who waits for it, and to all who come."""
        assert self._pipe is not None
        aside = self._picture.with_suffix(".aside")
        aside.write_bytes(self._content)
        aside.replace(self._picture)
        os.set_blocking(self._pipe, True)
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._pipe, "wb") as pipe:  # nobody may wait any more
            pipe.write(self._content)


@pytest.fixture
def gated(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Gate]:
    """The option of a data set with a gate, and the gate."""
    monkeypatch.setattr(Run, "script", Path(__file__).with_name("train_from_pipes.py"))
    shutil.copytree(synthetic, tmp_path / "gated")
    return f"data.root={tmp_path / 'gated'}", Gate(tmp_path / "gated")


@pytest.fixture
def start(tmp_path: Path, tiny_overrides: list[str]) -> Iterator[Callable[..., Run]]:
    """start(name, *overrides, arguments=(), ranks=1) -> Run, of which nothing is left after the test."""
    runs: list[Run] = []

    def begin(name: str, *overrides: str, arguments: tuple[str, ...] = (), ranks: int = 1, launcher: str = "") -> Run:
        options = [*tiny_overrides, *overrides]
        runs.append(Run(tmp_path / "exp" / name, options, *arguments, ranks=ranks, launcher=launcher))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill()


@pytest.fixture
def assert_same_bits() -> Callable[[Path, Path], None]:
    return same_bits


def _lines(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the speed."""
    tree = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "train/persons_per_second"} for line in tree]


def same_bits(ours: Path, theirs: Path) -> None:
    """Two experiments ended with equal checkpoints and equal numbers on the way, their speed aside."""
    one, other = (load_checkpoint(folder / "checkpoints" / "last.pt") for folder in (ours, theirs))
    for part in ("model", "criterion", "optimizer", "progress", "metrics", "random_states"):
        assert _equal(getattr(one, part), getattr(other, part)), part
    assert _lines(ours) == _lines(theirs)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other
