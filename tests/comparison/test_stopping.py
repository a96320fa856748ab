"""A comparison that time or a signal ends early."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rlepose.comparison.runs import Outcome, run_all
from rlepose.comparison.suite import Suite
from rlepose.training.signals import handled
from tests.comparison.made_runs import make_trained, make_validated, program_in, suite_of

# Answers SIGTERM as train.py does, and lets validate.py know, which waits for that.
TRAIN = """
import pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
def stop(*_):
    (here / "training has stopped").touch()
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
(here / "trains").touch()
time.sleep(20)
"""
VALIDATE = """
import pathlib, time
here = pathlib.Path(__file__).parent
(here / "validates").touch()
end = time.monotonic() + 20
while not (here / "training has stopped").exists() and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.3)
(here / "prepared").rename(here / "out" / "a_seed0" / "results")
"""


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Three rows; a is trained, and validate.py validates it."""
    text = "rows: [{name: a, cfg: CONFIG}, {name: b, cfg: CONFIG}, {name: c, cfg: CONFIG, after: b}]"
    suite = suite_of(tmp_path, text, out=tmp_path / "out")
    first = suite.runs()[0]
    make_trained(first)
    make_validated(first, {"gt/AP": 0.5})
    (first.experiment.folder / "results").rename(tmp_path / "prepared")
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "validate.py").write_text(VALIDATE)
    return suite


@contextmanager
def signals(folder: Path, *numbers: signal.Signals) -> Iterator[None]:
    """Send signals to this process while a script trains and another one validates; they do nothing else to it."""

    def send() -> None:
        while not ((folder / "trains").exists() and (folder / "validates").exists()):
            time.sleep(0.01)
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0.1)

    with handled(set(numbers), lambda *_: None):
        thread = threading.Thread(target=send)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_trainings_and_lets_validations_end(
    suite: Suite, tmp_path: Path, number: signal.Signals
) -> None:
    with signals(tmp_path, number):
        before = signal.getsignal(number)
        outcome = run_all(suite, program=program_in(tmp_path), jobs=2)
        assert signal.getsignal(number) is before
    assert outcome == Outcome(finished=["a_seed0"], not_begun=["b_seed0", "c_seed0"])
    assert outcome.stopped


def test_signals_that_a_scheduler_repeats_do_no_more(suite: Suite, tmp_path: Path) -> None:
    with signals(tmp_path, signal.SIGTERM, signal.SIGTERM):
        assert run_all(suite, program=program_in(tmp_path), jobs=2).finished == ["a_seed0"]


def test_the_end_of_its_time_does_the_same(suite: Suite, tmp_path: Path) -> None:
    outcome = run_all(suite, program=program_in(tmp_path), jobs=2, until=time.monotonic() + 2)
    assert outcome == Outcome(finished=["a_seed0"], not_begun=["b_seed0", "c_seed0"])


def test_the_second_ctrl_c_waits_for_nothing(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN.replace("stop)", "signal.SIG_IGN)"))
    with signals(tmp_path, signal.SIGINT, signal.SIGINT):
        outcome = run_all(suite, program=program_in(tmp_path), jobs=2)
    assert outcome.interrupted == ["a_seed0 (not validated)"]
    assert outcome.not_begun == ["b_seed0", "c_seed0"]


def test_no_time_at_all_begins_nothing(suite: Suite, tmp_path: Path) -> None:
    outcome = run_all(suite, program=program_in(tmp_path), until=time.monotonic())
    assert outcome == Outcome(interrupted=["a_seed0 (not validated)"], not_begun=["b_seed0", "c_seed0"])
    assert not any((tmp_path / name).exists() for name in ("trains", "validates"))
    assert str(outcome) == "interrupted: a_seed0 (not validated)\nnot begun: b_seed0, c_seed0"


def test_what_is_finished_is_recorded_even_without_time(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "prepared").rename(suite.out / "a_seed0" / "results")
    outcome = run_all(
        suite, program=program_in(tmp_path), rows=["a"], until=time.monotonic(), records=tmp_path / "records"
    )
    assert outcome == Outcome(finished=["a_seed0"])
    assert not outcome.stopped
    assert json.loads((tmp_path / "records" / "mine" / "a_seed0.json").read_text())["metrics"] == {"gt/AP": 0.5}


def test_the_command_says_what_is_left_and_ends_with_its_own_code(
    suite: Suite, run_script: Callable[..., object]
) -> None:
    result = run_script("compare.py", "--suite", suite.path, "--out", suite.out, "--hours", 0)
    assert result.returncode == 75, result.stderr
    assert result.stderr.splitlines() == [
        "stopped; run the same command again to continue",
        "interrupted: a_seed0 (not validated)",
        "not begun: b_seed0, c_seed0",
    ]
    assert "* b_seed0: not begun" in result.stdout
