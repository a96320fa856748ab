"""Processes that die, hang or meet each other: the others end with an error, or the run goes on as it would have."""

import json
import multiprocessing
import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.crops import CropBatch
from rlepose.errors import DivergedError, InputError
from rlepose.jobs.train import train
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.training.trainer import Trainer
from tests.training.running import experiment_of

Start = Callable[..., Any]
ALONE = Ranks(0, 1, torch.device("cpu"))
LONG = ("train.epochs=1000", "train.validate_every=1000")


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["train/loss"] for line in lines if "train/loss" in line]


# --- two runs in one folder -----------------------------------------------------------------------------------------


def hold(folder: Path, held: Any) -> None:
    os.setsid()
    with Experiment(folder).alone():
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True).start()
        held.set()
        time.sleep(60)


def test_two_runs_exclude_each_other_until_one_is_dead(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    other = spawn.Process(target=hold, args=(tmp_path / "exp", held))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(InputError, match="another run uses this folder"), Experiment(tmp_path / "exp").alone():
            pass
        other.kill()  # its child lives on, and does not hold the lock
        other.join()
        with Experiment(tmp_path / "exp").alone():
            pass
    finally:
        assert other.pid is not None
        os.killpg(other.pid, signal.SIGKILL)


# --- NaN -------------------------------------------------------------------------------------------------------------


def poison(monkeypatch: pytest.MonkeyPatch, calls: Callable[[int], bool]) -> list[list[int]]:
    """Let the weights become NaN in these calls of `Trainer.step`; -> the persons of each call."""
    step, seen = Trainer.step, list[list[int]]()

    def poisoned(trainer: Trainer, batch: CropBatch) -> torch.Tensor:
        seen.append(batch.persons.tolist())
        if calls(len(seen)):
            with torch.no_grad():
                trainer.parameters[0].fill_(torch.nan)
        return step(trainer, batch)

    monkeypatch.setattr(Trainer, "step", poisoned)
    return seen


def test_after_a_nan_the_run_goes_back_and_on_with_another_order(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config("train.on_nonfinite=rewind", "train.epochs=2")
    seen = poison(monkeypatch, lambda call: call == 2)
    assert "gt/AP" in train(config, ALONE)
    assert "going back to the last checkpoint, rewind 1 of 3" in caplog.text
    steps = (len(seen) - 2) // 2
    assert seen[0] != seen[2]
    assert len(losses(experiment_of(config).folder)) == 2 * steps  # the entries of the lost steps are gone


def test_a_run_that_diverges_again_and_again_ends(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config("train.on_nonfinite=rewind", "train.max_rewinds=2")
    seen = poison(monkeypatch, lambda call: True)
    with pytest.raises(DivergedError, match="became NaN"):
        train(config, ALONE)
    assert len(seen) == 3
    with pytest.raises(DivergedError):  # nor is it tried anew by resuming
        train(config, ALONE, resume=True)
    assert len(seen) == 4


# --- ranks and workers ------------------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_ends_the_run(start: Start, rank: int) -> None:
    run = start("run", *LONG, ranks=2)
    run.wait_for_step(2)
    os.kill(run.ranks()[rank], signal.SIGKILL)
    code, printed = run.end()
    assert code != 0 and f"local_rank: {rank}" in printed and "Signal 9 (SIGKILL)" in printed
    assert printed.count("Traceback") == 1  # torchrun's own


@pytest.mark.faults
def test_a_rank_that_hangs_ends_the_run_after_the_timeout(start: Start) -> None:
    run = start("run", *LONG, "system.timeout_s=5", "eval.pictures=0", ranks=2)
    run.wait_for_step(2)
    os.kill(run.ranks()[1], signal.SIGSTOP)
    code, printed = run.end()
    assert code != 0 and re.search(r"error: another rank does not answer.*[Tt]imed out", printed), printed
    assert printed.count("Traceback") == 1  # torchrun's own


@pytest.mark.faults
def test_a_worker_that_is_killed_ends_the_run_with_its_name(start: Start) -> None:
    run = start("run", *LONG, "system.workers=2")
    run.wait_for_step(2)
    worker = run.ranks()[-1]
    os.kill(worker, signal.SIGKILL)
    code, printed = run.end()
    assert code == 1 and f"DataLoader worker (pid {worker}) is killed by signal: Killed" in printed, printed
    assert "error: a worker that loads pictures was killed" in printed and "Traceback" not in printed


@pytest.mark.faults
def test_two_ranks_killed_at_any_moment_end_with_the_bits_of_a_run_that_was_not(start: Start, assert_same_bits) -> None:
    """Each time with another number of workers."""
    options = ("train.epochs=3", "train.save_every=2", "model.backbone.options={drop_path_rate: 0.2}")
    straight = start("straight", *options, ranks=2)
    assert straight.end()[0] == 0
    moments = random.Random(0)
    for count in range(4):
        run = start("killed", *options, f"system.workers={count % 3}", arguments=("--requeue",), ranks=2)
        run.wait_for_step(3 * count + 1)
        time.sleep(moments.uniform(0, 1))
        run.kill()
    code, printed = start("killed", *options, arguments=("--requeue",), ranks=2).end()
    assert code == 0, printed
    assert_same_bits(run.folder, straight.folder)


@pytest.mark.faults
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (3, 2)])
def test_a_run_goes_on_with_another_number_of_ranks(
    start: Start, gated: tuple[str, Any], before: int, after: int
) -> None:
    data, gate = gated
    options = ("train.epochs=2", "train.batch_size=12", data)
    run = start("moved", *options, ranks=before)
    gate.wait_for(run)
    processes = run.ranks() if before > 1 else [run.process.pid]
    for process in processes:
        os.kill(process, signal.SIGUSR1)
    if before > 1:  # who is alone does not wait for the picture any more
        run.wait_for_signal_to_arrive(processes)
    else:
        run.process.wait()
    gate.open()
    code, printed = run.end()
    assert code != 0 and "received a signal: stopped after step" in printed, printed
    code, printed = start("moved", *options, arguments=("--resume",), ranks=after).end()
    assert code == 0, printed
    straight = start("straight", *options)
    assert straight.end()[0] == 0
    assert losses(run.folder) == pytest.approx(losses(straight.folder), rel=1e-3)


@pytest.mark.faults
def test_torchrun_restarts_a_run_whose_rank_was_killed(start: Start) -> None:
    launcher = "--max-restarts=2 --rdzv-backend=c10d --rdzv-endpoint=localhost:0"
    options = ("train.epochs=8", "train.validate_every=8")
    run = start("run", *options, arguments=("--requeue",), ranks=2, launcher=launcher)
    run.wait_for_step(6)
    os.kill(run.ranks()[1], signal.SIGKILL)
    code, printed = run.end()
    assert code == 0, printed
    assert "resuming after epoch" in printed


@pytest.mark.faults
def test_memory_stays_flat_over_the_epochs(start: Start) -> None:
    run = start("run", *LONG, "system.workers=2", "train.save_every=2")

    def resident() -> list[int]:
        processes = [run.process.pid, *run.ranks()]
        return [int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in processes]

    run.wait_for_step(30)
    before = resident()
    run.wait_for_step(150)
    assert [now <= 1.05 * then for now, then in zip(resident(), before, strict=True)] == [True] * len(before)
