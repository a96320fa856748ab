"""Signals of a scheduler or a keyboard end a run within a step, saved, with an exit code that tells."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlepose.errors import STOPPED
from rlepose.runtime.checkpoint import load_checkpoint

Start = Callable[..., Any]
LONG = ("train.epochs=1000", "train.validate_every=1000")


def progress(folder: Path) -> dict[str, Any]:
    return load_checkpoint(folder / "checkpoints" / "last.pt").progress


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(n, marks=pytest.mark.faults) for n in (signal.SIGINT, signal.SIGUSR1))],
)
def test_a_signal_to_all_processes_saves_and_asks_to_be_requeued(start: Start, number: signal.Signals) -> None:
    run = start("run", *LONG, "system.workers=2")
    run.wait_for_step(2)
    os.killpg(run.process.pid, number)
    code, printed = run.end()
    assert code == STOPPED, printed
    assert "Traceback" not in printed and "stopped by a signal; continue with --resume" in printed
    state = progress(run.folder)
    assert state["epoch"] * 1000 + state["seen"] > 0


@pytest.mark.faults
def test_requeued_the_run_goes_on_and_ends(start: Start) -> None:
    options = ("train.epochs=2", "train.schedule={name: step, milestones: []}")
    run = start("run", *options, arguments=("--requeue",))
    run.wait_for_step(1)
    run.process.terminate()
    assert run.end()[0] == STOPPED
    code, printed = start("run", *options, arguments=("--requeue",)).end()
    assert code == 0, printed
    assert "resuming after epoch" in printed
    assert progress(run.folder)["epoch"] == 2


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGTERM, 1),
        *(pytest.param(n, w, marks=pytest.mark.faults) for n, w in ((signal.SIGINT, 1), (signal.SIGTERM, 0))),
    ],
)
def test_one_signal_ends_a_run_that_waits_for_a_picture_which_never_comes(
    start: Start, gated: tuple[str, Any], number: signal.Signals, workers: int
) -> None:
    data, gate = gated
    run = start("run", data, "eval.pictures=0", f"system.workers={workers}")
    gate.wait_for(run)  # and the gate stays closed
    run.process.send_signal(number)
    code, printed = run.end()
    assert code == STOPPED, printed
    assert "Traceback" not in printed and re.search(r"saved \S+last\.pt", printed)
    assert progress(run.folder)["epoch"] == 0


@pytest.mark.faults
def test_a_run_that_was_ended_while_it_waited_goes_on_with_the_same_bits(
    start: Start, gated: tuple[str, Any], assert_same_bits: Callable[[Path, Path], None]
) -> None:
    data, gate = gated
    options = (data, "eval.pictures=0")
    run = start("run", *options, "system.workers=1")
    gate.wait_for(run)
    run.process.terminate()
    assert run.end()[0] == STOPPED
    gate.open()
    code, printed = start("run", *options, "system.workers=1", arguments=("--resume",)).end()
    assert code == 0, printed
    straight = start("straight", *options)
    assert straight.end()[0] == 0
    assert_same_bits(run.folder, straight.folder)


@pytest.mark.faults
def test_one_signal_ends_ranks_of_which_one_waits_for_a_picture_that_never_comes(
    start: Start, gated: tuple[str, Any]
) -> None:
    data, gate = gated
    run = start("run", data, "eval.pictures=0", ranks=2)
    gate.wait_for(run)
    for rank in run.ranks():
        os.kill(rank, signal.SIGTERM)
    code, printed = run.end(100)
    assert code == 1 and "no batch within 20 s: stopped without saving" in printed, printed
    assert printed.count("Traceback") == 1  # torchrun's own


@pytest.mark.faults
def test_the_second_ctrl_c_does_not_wait(start: Start, gated: tuple[str, Any]) -> None:
    data, gate = gated
    run = start("run", data, "eval.pictures=0", ranks=2)
    gate.wait_for(run)  # and the gate stays closed
    for _ in range(2):
        for rank in run.ranks():
            os.kill(rank, signal.SIGINT)
        run.wait_for_signal_to_arrive(run.ranks()[:1])
    code, printed = run.end(100)
    assert code == 1 and "Signal 2 (SIGINT)" in printed, printed


@pytest.mark.faults
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_signal_to_one_of_three_ranks_stops_all_after_the_same_step(start: Start, rank: int) -> None:
    run = start("run", *LONG, "train.batch_size=6", ranks=3)
    run.wait_for_step(3)
    os.kill(run.ranks()[rank], signal.SIGUSR1)
    code, printed = run.end()
    assert code != 0  # torchrun has exit codes of its own
    assert printed.count("received a signal: stopped after step") == 1, printed
    assert "Connection closed" not in printed
    state = progress(run.folder)
    assert len(state["losses"]["interval"]) == 3
