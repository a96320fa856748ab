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
    """Runs one of this folder's scripts on a clone; one question at a time, so both sides never compute together.

    folder: for what the script writes.
    """

    def __init__(self, clone: Path, folder: Path, script: str = "official_worker.py") -> None:
        environment = os.environ | {"PYTHONPATH": str(clone.resolve()), "BENCHMARK_FOLDER": str(folder / "official")}
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name(script)), str(clone)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def __call__(self, name: str, **inputs: Any) -> dict[str, Callable[[], float]]:
        return {"authors": partial(self.ask, name, inputs)}

    def ask(self, name: str, inputs: dict[str, Any]) -> Any:
        """What a function of the script gives."""
        assert self.process.stdin and self.process.stdout
        pickle.dump((name, inputs), self.process.stdin)
        self.process.stdin.flush()
        ok, answer = pickle.load(self.process.stdout)
        if not ok:
            raise RuntimeError(f"{name} failed in the authors' process:\n{answer}")
        return answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()
