"""Runs of this process alone, and what they logged."""

import json
from typing import Any

import torch

from rlepose.config.config import Config
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.training.trainer import Trainer, train

ALONE = Ranks(0, 1, torch.device("cpu"))


def experiment_of(config: Config) -> Experiment:
    """The folder of a config's run."""
    return Experiment.of(config)


def trainer_of(config: Config, resume: bool = False, ranks: Ranks = ALONE) -> Trainer:
    """What trains a config."""
    return Trainer(config, ranks, resume)


def run(config: Config, resume: bool = False, overwrite: bool = False) -> dict[str, Any]:
    return train(config, ALONE, resume, overwrite)


def lines(config: Config) -> list[dict[str, Any]]:
    text = (experiment_of(config).folder / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def losses(config: Config) -> list[float]:
    return [line["train/loss"] for line in lines(config) if "train/loss" in line]
