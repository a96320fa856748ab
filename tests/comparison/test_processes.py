"""Processes that run at a time, and how they are stopped."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from rlepose.comparison.processes import Processes, ProcessStoppedError, places

# Answers SIGTERM as train.py does.
TRAINING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("here", flush=True)
time.sleep(20)
"""
# Ends as soon as a file is there.
VALIDATION = """
import pathlib, sys, time
print("here", flush=True)
end = time.monotonic() + 20
while not pathlib.Path(sys.argv[1]).exists() and time.monotonic() < end:
    time.sleep(0.01)
"""
Start = Callable[..., "Future[None]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """start(processes, text, argument, resumable=…) -> the future of a script that has begun."""
    pool = ThreadPoolExecutor(2)

    def begin(processes: Processes, text: str, *arguments: object, resumable: bool) -> "Future[None]":
        script, log = tmp_path / f"{resumable}.py", tmp_path / f"{resumable}.log"
        script.write_text(text)
        future = pool.submit(processes.run, [str(script), *map(str, arguments)], log, resumable)
        while not (log.exists() and "here" in log.read_text()) and not future.done():
            time.sleep(0.01)
        return future

    return begin


def test_a_stop_ends_what_can_go_on_later_and_waits_for_the_rest(start: Start, tmp_path: Path) -> None:
    processes = Processes([{}, {}], math.inf)
    training = start(processes, TRAINING, resumable=True)
    validation = start(processes, VALIDATION, tmp_path / "end", resumable=False)
    processes.stop()
    with pytest.raises(ProcessStoppedError):
        training.result(20)
    assert not validation.done()
    (tmp_path / "end").touch()
    validation.result(20)
    with pytest.raises(ProcessStoppedError):
        processes.run(["no such script"], tmp_path / "log", resumable=False)


def test_a_kill_waits_for_nothing(start: Start, tmp_path: Path) -> None:
    processes = Processes([{}], math.inf)
    validation = start(processes, VALIDATION, tmp_path / "end", resumable=False)
    processes.kill()
    with pytest.raises(ProcessStoppedError):
        validation.result(20)


def test_after_the_limit_nothing_begins(tmp_path: Path) -> None:
    processes = Processes([{}], time.monotonic())
    assert processes.seconds_to_wait() == 0
    with pytest.raises(ProcessStoppedError):
        processes.run(["no such script"], tmp_path / "log", resumable=True)


def test_a_limit_beyond_what_a_clock_can_wait_for_is_one(tmp_path: Path) -> None:
    assert Processes([{}], 1e12).seconds_to_wait() == threading.TIMEOUT_MAX
    assert Processes([{}], math.inf).seconds_to_wait() is None


def test_ctrl_c_does_not_reach_the_processes_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os; print(os.getpgid(0) == os.getpid())")
    Processes([{}], math.inf).run([str(tmp_path / "a.py")], tmp_path / "log", resumable=True)
    assert (tmp_path / "log").read_text() == "True\n"


def test_a_failure_is_told_by_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import sys; print('one'); sys.exit('error: two')")
    with pytest.raises(RuntimeError, match=r"^two \(exit code 1, see .*log\)$"):
        Processes([{}], math.inf).run([str(tmp_path / "a.py")], tmp_path / "log", resumable=True)


def test_processes_are_spread_over_the_devices_and_share_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert places(None, None) == [{"CUDA_VISIBLE_DEVICES": "4"}, {"CUDA_VISIBLE_DEVICES": "7"}]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in places(3, None)] == ["4", "7", "4"]
    assert places(1, 2) == [{"CUDA_VISIBLE_DEVICES": "4", "OMP_NUM_THREADS": "2"}]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert places(None, None) == [{"OMP_NUM_THREADS": "8"}]
    assert places(3, None) == [{"OMP_NUM_THREADS": "2"}] * 3
    assert places(3, 1) == [{"OMP_NUM_THREADS": "1"}] * 3
