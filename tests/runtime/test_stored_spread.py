"""The flow's spread in checkpoints: stored with the weights that it follows from, and computed where it is not."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.config.reading import with_overrides
from rlepose.inference.lifter import Lifter
from rlepose.inference.predictor import Predictor
from rlepose.jobs.train import train
from rlepose.losses import Criterion
from rlepose.runtime.checkpoint import load_checkpoint, save_checkpoint
from rlepose.runtime.trained_lifter import open_lifter
from rlepose.runtime.trained_model import open_checkpoint
from tests.training.running import ALONE, experiment_of

CPU = torch.device("cpu")
FLOW = "loss={name: dle, flow: {depth: 2, width: 8}}"
OLD = Path(__file__).parents[1] / "data" / "checkpoint_format2.pt"


@pytest.fixture
def no_computation(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """no_computation(): from here on, computing a spread fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("computes the spread")

    return lambda: monkeypatch.setattr(Criterion, "residual_spread", refuse)


@pytest.mark.parametrize("pictures", [0, 2])
def test_training_stores_the_spread_of_the_weights_that_it_validated(
    tiny_config: Callable[..., Config], pictures: int, no_computation: Callable[[], None]
) -> None:
    config = tiny_config(FLOW, f"eval.pictures={pictures}", "train.keep_every=1", "train.average_decay=0.9")
    train(config, ALONE)
    experiment = experiment_of(config)
    for path in (experiment.best, experiment.last):
        checkpoint = load_checkpoint(path)
        assert checkpoint.spread is not None and checkpoint.spread.shape == (17, 2)
        without = dataclasses.replace(checkpoint, spread=None)
        computed = open_checkpoint(path, checkpoint.config, without, CPU).spread
        np.testing.assert_array_equal(checkpoint.spread.numpy(), computed)
    assert load_checkpoint(experiment.kept(1)).spread is None  # saved before its validation
    no_computation()
    np.testing.assert_array_equal(Predictor(experiment.last, "cpu")._model.spread, computed)


def test_a_prediction_with_a_stored_spread_computes_none(
    checkpoint: Callable[..., Path], synthetic: Path, no_computation: Callable[[], None]
) -> None:
    path, picture = checkpoint(FLOW), sorted((synthetic / "val").iterdir())[0]
    (before,) = Predictor(path, "cpu").predict(picture, "whole")
    loaded = load_checkpoint(path)
    spread = open_checkpoint(path, loaded.config, loaded, CPU).spread
    save_checkpoint(path, dataclasses.replace(loaded, spread=torch.from_numpy(spread)))
    no_computation()
    (after,) = Predictor(path, "cpu").predict(picture, "whole")
    np.testing.assert_array_equal(after.persons[0].std, before.persons[0].std)


def test_another_loss_has_another_spread(checkpoint: Callable[..., Path]) -> None:
    path = checkpoint("loss={name: rle, form: paper, flow: {depth: 2, width: 8}}")
    loaded = dataclasses.replace(load_checkpoint(path), spread=torch.full((17, 2), 7.0))
    assert (open_checkpoint(path, loaded.config, loaded, CPU).spread == 7).all()
    original = with_overrides(loaded.config, ["loss.form=original"])
    assert not (open_checkpoint(path, original, loaded, CPU).spread == 7).any()


def test_an_earlier_checkpoint_has_the_spread_that_is_computed() -> None:
    loaded = load_checkpoint(OLD)
    assert loaded.spread is None
    model = open_checkpoint(OLD, loaded.config, loaded, CPU)
    assert model.spread.shape == (len(loaded.skeleton), 2) and (model.spread > 0).all()


def test_a_lifter_takes_the_stored_spread(
    lifting_config: Callable[..., Config], no_computation: Callable[[], None]
) -> None:
    config = lifting_config(FLOW, "train.epochs=1")
    train(config, ALONE)
    path = experiment_of(config).best
    loaded = load_checkpoint(path)
    computed = open_lifter(path, loaded.config, dataclasses.replace(loaded, spread=None), CPU).spread
    no_computation()
    np.testing.assert_array_equal(Lifter(path, "cpu")._model.spread, computed)
