"""The authors' code, unmodified, in a process of its own: its package is called rlepose as well."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol


class Official(Protocol):
    """official('item', root=…) -> a side of a row that the authors' code measures; None without --official."""

    def __call__(self, name: str, **inputs: Any) -> dict[str, Callable[[], float]]: ...


def without_official(name: str, **inputs: Any) -> dict[str, Callable[[], float]]:
    """No clone was given: no side."""
    return {}


class Worker:
    """Runs official_worker.py on a clone; one question at a time, so both sides never compute together."""

    def __init__(self, clone: Path, folder: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(clone.resolve()), "BENCHMARK_FOLDER": str(folder / "official")}
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("official_worker.py")), str(clone)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def __call__(self, name: str, **inputs: Any) -> dict[str, Callable[[], float]]:
        return {"authors": partial(self.ask, name, inputs)}

    def ask(self, name: str, inputs: dict[str, Any]) -> float:
        """The cost that a function of official_worker.py measures."""
        assert self.process.stdin and self.process.stdout
        pickle.dump((name, inputs), self.process.stdin)
        self.process.stdin.flush()
        ok, answer = pickle.load(self.process.stdout)
        if not ok:
            raise RuntimeError(f"--official: {name} failed in the authors' process:\n{answer}")
        return float(answer)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()
