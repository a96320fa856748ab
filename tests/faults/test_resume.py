"""A run that was stopped, anywhere and on anything, and goes on as if it had not been."""

import itertools
import os
import signal
import time
from collections.abc import Callable

import pytest
import torch

from rlepose.config.config import Config
from rlepose.errors import Stopped
from rlepose.jobs.train import train
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.training.trainer import Trainer
from tests.training.running import experiment_of, trainer_of

ALONE = Ranks(0, 1, torch.device("cpu"))
# Batch statistics, random numbers within the network, log entries and epochs that end between the stops.
OPTIONS = (
    "model.backbone.name=mobilenetv3_small_050",
    "model.backbone.options={drop_path_rate: 0.2}",
    "model.backbone.pretrained=false",
    "train.batch_size=12",
    "train.log_every=2",
    "train.schedule={milestones: [1.5], warmup_epochs: 1}",
)


def stop_after_a_step(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """Send the signal to this process in its next step."""
    step = Trainer.step

    def interrupted(trainer: Trainer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        os.kill(os.getpid(), number)
        return step(trainer, batch)

    monkeypatch.setattr(Trainer, "step", interrupted)


def test_a_run_stopped_after_every_single_step_ends_with_the_bits_of_one_that_was_not(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, assert_same_bits: Callable[..., None]
) -> None:
    straight, stopped = (tiny_config(f"name={name}", *OPTIONS) for name in ("straight", "stopped"))
    steps = len(trainer_of(straight).task.order)
    train(straight, ALONE)
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    for count in range(2 * steps):
        with monkeypatch.context() as patch:
            stop_after_a_step(patch, signals[count % 3])
            with pytest.raises(Stopped):
                train(stopped, ALONE, resume=count > 0)
        progress = load_checkpoint(experiment_of(stopped).last).progress
        assert progress["epoch"] * steps + progress["seen"] // 12 == count + 1
    train(stopped, ALONE, resume=True)  # what is left is the last validation
    assert_same_bits(experiment_of(stopped).folder, experiment_of(straight).folder)


def test_a_checkpoint_within_the_epoch_is_written_every_so_many_steps(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(*OPTIONS, "train.save_every=1")
    step, left = Trainer.step, [False, True, True]

    def dying(trainer: Trainer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        assert left.pop(), "dead"
        return step(trainer, batch)

    monkeypatch.setattr(Trainer, "step", dying)
    with pytest.raises(AssertionError, match="dead"):
        train(config, ALONE)
    assert load_checkpoint(experiment_of(config).last).progress["seen"] == 24


def test_a_clock_that_jumps_changes_nothing(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, assert_same_bits: Callable[..., None]
) -> None:
    straight, jumping = (tiny_config(f"name={name}", *OPTIONS) for name in ("straight", "jumping"))
    train(straight, ALONE)
    hours = itertools.cycle((0, 10, -20))
    monkeypatch.setattr(time, "time", lambda: 2e9 + 3600 * next(hours))
    experiment = experiment_of(jumping)
    for stop in range(2):
        with monkeypatch.context() as patch:
            stop_after_a_step(patch, signal.SIGTERM)
            with pytest.raises(Stopped):
                train(jumping, ALONE, resume=stop > 0)
    os.utime(experiment.last, (0, 0))  # older than the one before
    train(jumping, ALONE, resume=True)
    assert_same_bits(experiment.folder, experiment_of(straight).folder)
