"""Runs of this process alone, and what they logged."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from rlepose.config.config import Config
from rlepose.jobs.train import build_trainer, train
from rlepose.pose.pose_arrays import Poses
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.trained_model import TrainedModel
from rlepose.tasks.top_down import TopDown
from rlepose.training.trainer import Trainer
from rlepose.validation.validation import Validation

ALONE = Ranks(0, 1, torch.device("cpu"))


def experiment_of(config: Config) -> Experiment:
    """The folder of a config's run."""
    return Experiment.of(config)


def trainer_of(config: Config, resume: bool = False, ranks: Ranks = ALONE) -> Trainer:
    """What trains a config."""
    return build_trainer(config, ranks, resume)


def task_of(trainer: Trainer) -> TopDown:
    """The task of a trainer of crops."""
    assert isinstance(trainer.task, TopDown)
    return trainer.task


def script_validations(
    monkeypatch: pytest.MonkeyPatch, trainer: Trainer, metrics: Callable[[], dict[str, Any]]
) -> None:
    """Let each validation of a run give what `metrics` gives then; what tries a few batches takes none of them."""
    task = task_of(trainer)
    poses = task.validation.source.predict(
        TrainedModel(task.step.model, task.step.criterion, task.config, task.skeleton, trainer.ranks.device)
    )

    def run(
        validation: Validation[Any], model: TrainedModel, batches: int | None = None
    ) -> tuple[Any, list[Any], Poses]:
        return (metrics() if batches is None else {}), [], poses

    monkeypatch.setattr(Validation, "run", run)


def run(config: Config, resume: bool = False, overwrite: bool = False) -> dict[str, Any]:
    return train(config, ALONE, resume, overwrite)


def lines(config: Config) -> list[dict[str, Any]]:
    text = (experiment_of(config).folder / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def losses(config: Config) -> list[float]:
    return [line["train/loss"] for line in lines(config) if "train/loss" in line]
