from collections.abc import Callable

import pytest
import torch
from torch.nn import BatchNorm2d

from rlepose.config.config import Config
from rlepose.jobs.train import train
from rlepose.losses import build_criterion
from rlepose.models.pose_model import PoseModel, build_model
from rlepose.runtime.checkpoint import Checkpoint, load_checkpoint
from rlepose.training.weight_average import WeightAverage
from tests.predicting import as_trained
from tests.training.running import ALONE, experiment_of, trainer_of

AVERAGED = "train.average_decay=0.9"


def last(config: Config) -> Checkpoint:
    return load_checkpoint(experiment_of(config).last)


def equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(ours[key], theirs[key]) for key in theirs)


def weight_and_statistic(model: PoseModel) -> tuple[torch.Tensor, torch.Tensor]:
    return model.head.coordinates.weight, next(m for m in model.modules() if isinstance(m, BatchNorm2d)).running_mean


def test_the_average_is_its_definition(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("model.backbone.name=resnet10t")
    model = build_model(config.model, 17, predict_sigma=True, pretrained=False)
    criterion = build_criterion(config.loss, 17)
    average = WeightAverage(model, criterion, decay=0.7)
    weight, statistic = weight_and_statistic(model)
    expected = [torch.zeros_like(weight), torch.zeros_like(statistic)]
    for step in range(1, 9):
        with torch.no_grad():
            weight.normal_()
            statistic.normal_()
        average.update(step)
        decay = min(0.7, 1 - step ** (-2 / 3))
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, (weight, statistic), strict=True)]
    for value, wanted in zip(weight_and_statistic(average.model), expected, strict=True):
        torch.testing.assert_close(value, wanted)


def test_what_is_validated_and_kept_is_the_average(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config(AVERAGED, "train.epochs=1")
    metrics = train(config, ALONE)
    best, end = load_checkpoint(experiment_of(config).best), trainer_of(config, resume=True)
    assert end.average is not None and equal(best.model, end.average.model.state_dict())
    assert not equal(best.model, end.task.step.model.state_dict())
    averaged = as_trained(end.average.model, end.average.criterion, end.task.validation)
    assert metrics == end.task.validation.run(averaged)[0]


def test_a_resumed_run_has_the_same_average(tiny_config: Callable[..., Config]) -> None:
    straight, stopped = (tiny_config(AVERAGED, f"name={name}") for name in ("straight", "stopped"))
    train(straight, ALONE)
    train(tiny_config(AVERAGED, "name=stopped", "train.epochs=1"), ALONE)
    train(stopped, ALONE, resume=True)
    ours, theirs = last(stopped), last(straight)
    assert equal(ours.model, theirs.model) and equal(ours.criterion, theirs.criterion)
    assert ours.unaveraged is not None and theirs.unaveraged is not None
    assert equal(ours.unaveraged["model"], theirs.unaveraged["model"])


@pytest.mark.parametrize(("before", "after"), [("null", "0.9"), ("0.9", "null")])
def test_averaging_can_begin_and_end_when_a_run_is_resumed(
    tiny_config: Callable[..., Config], before: str, after: str
) -> None:
    train(tiny_config(f"train.average_decay={before}", "train.epochs=1"), ALONE)
    config = tiny_config(f"train.average_decay={after}")
    checkpoint = last(config)
    trainer = trainer_of(config, resume=True)
    trained = checkpoint.model if checkpoint.unaveraged is None else checkpoint.unaveraged["model"]
    assert equal(trainer.task.step.model.state_dict(), trained)
    judged, _ = trainer.state.judged
    assert equal(judged.state_dict(), trained if after == "null" else checkpoint.model)
