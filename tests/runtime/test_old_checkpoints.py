"""tests/data/checkpoint_format2.pt, from before each variant had options of its own: all that can be done with it then
can be done still."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.config.reading import with_overrides
from rlepose.jobs.train import train
from rlepose.jobs.validate import validate_checkpoint
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.trained_model import open_checkpoint
from tests.training.running import ALONE

OLD = Path(__file__).parents[1] / "data" / "checkpoint_format2.pt"
# What the version that wrote the file made of `IMAGE`: mu and sigma of joint 0, and the loss of labels in the middle.
MU, SIGMA, LOSS = (0.009068572, -0.295806587), (0.033333905, 0.010750827), 1765.3584
IMAGE = ((torch.arange(3 * 64 * 64) * 37) % 256).view(1, 3, 64, 64).float()


@pytest.fixture
def config(synthetic: Path, tmp_path: Path) -> Config:
    places = [f"data.root={synthetic}", f"output_dir={tmp_path / 'exp'}"]
    return with_overrides(load_checkpoint(OLD).config, places)


def test_its_config_says_how_it_was_trained() -> None:
    config = load_checkpoint(OLD).config
    flow, schedule, optimizer = config.loss.flow, config.train.schedule, config.train.optimizer
    assert (config.loss.name, flow.name, flow.base, flow.depth, flow.width) == ("rle", "realnvp", "laplace", 2, 8)
    assert (schedule.name, schedule.warmup_epochs, optimizer.name, optimizer.lr) == ("cosine", 1, "adam", 0.01)
    assert config.model.head.name == "regression"


def test_it_predicts_what_it_did() -> None:
    checkpoint = load_checkpoint(OLD)
    model = open_checkpoint(OLD, checkpoint.config, checkpoint, torch.device("cpu"))
    with torch.no_grad():
        output = model.network(IMAGE)
        mu, sigma = output.mu[0], output.sigma[0]
        losses = model.likelihood.loss(mu, sigma, torch.zeros_like(mu), torch.arange(len(mu)))
    assert losses.sum().item() == pytest.approx(LOSS, rel=1e-4)
    assert np.allclose(mu[0], MU, rtol=1e-4) and np.allclose(sigma[0], SIGMA, rtol=1e-4)


def test_it_validates_to_the_numbers_that_it_holds(config: Config, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(OLD)
    metrics = validate_checkpoint(OLD, config, checkpoint, ["gt"], tmp_path / "results", ALONE)
    ours, theirs = ([numbers[name] for name in sorted(checkpoint.metrics)] for numbers in (metrics, checkpoint.metrics))
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_its_run_goes_on_with_the_options_that_it_had(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    longer = with_overrides(config, ["train.epochs=21"])
    experiment = Experiment.of(longer)
    experiment.last.parent.mkdir(parents=True)
    (experiment.folder / "config.yaml").touch()
    shutil.copy(OLD, experiment.last)
    with caplog.at_level(logging.WARNING):
        train(longer, ALONE, resume=True)
    (warning,) = [text for text in caplog.messages if text.startswith("resuming with changed options: ")]
    changed = [line.partition(": ")[0] for line in warning.partition(": ")[2].split("; ")]
    assert changed == ["output_dir", "data.root", "train.epochs"]
    progress = load_checkpoint(experiment.last).progress
    assert (progress["epoch"], progress["steps"]) == (21, 105)
