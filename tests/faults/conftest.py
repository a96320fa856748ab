"""Runs as their users start them, to be signalled and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.engine.checkpoint import load_checkpoint

REPOSITORY = Path(__file__).parent.parent.parent


class Run:
    """A training in processes of its own: a session, so that a signal can be sent to all of them."""

    def __init__(self, folder: Path, overrides: list[str], *arguments: str, ranks: int = 1, launcher: str = "") -> None:
        self.folder = folder
        launch = ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}", *(launcher or "--standalone").split()]
        self.process = subprocess.Popen(
            [
                sys.executable,
                *(launch if ranks > 1 else []),
                str(REPOSITORY / "scripts" / "train.py"),
                *("--cfg", "configs/synthetic_res18_rle.yaml", "--name", folder.name, *arguments, "--set", *overrides),
            ],
            cwd=REPOSITORY,
            env=os.environ | {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for_step(self, step: int) -> None:
        """Until metrics.jsonl tells of this step; the option train.log_every has to be 1."""
        path = self.folder / "metrics.jsonl"
        for _ in range(1200):
            lines = path.read_text().split("\n")[:-1] if path.exists() else []
            if lines and json.loads(lines[-1])["step"] >= step:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"step {step} never came: {self.end()[1]}")

    def ranks(self) -> list[int]:
        """The process ids of torchrun's children, in the order in which they were started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def end(self, seconds: float = 120) -> tuple[int, str]:
        """Exit code and what was printed; the run is killed if it takes longer."""
        try:
            printed, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self.process.returncode, printed

    def kill(self) -> None:
        """End every process at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


@pytest.fixture
def start(tmp_path: Path, tiny_overrides: list[str]) -> Iterator[Callable[..., Run]]:
    """start(name, *overrides, arguments=(), ranks=1) -> Run"""
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
    return [{name: value for name, value in line.items() if name != "train/images_per_second"} for line in tree]


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
