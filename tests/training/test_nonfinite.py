"""What a number that is not finite does to a run, and how its gradient is kept small."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.crops import PoseDataset
from rlepose.errors import DivergedError
from rlepose.training.trainer import Trainer
from tests.training.running import experiment_of, losses, run, trainer_of


def test_a_batch_statistic_that_is_not_finite_ends_the_run(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "_try_validation", lambda _: None)  # it would find the statistic first
    trainer = trainer_of(tiny_config("model.backbone.name=resnet18", "train.epochs=1"))
    trainer.experiment.open(trainer.task.config, resume=False)
    next(buffer for name, buffer in trainer.task.step.model.named_buffers() if "running_mean" in name).fill_(torch.nan)
    with pytest.raises(DivergedError, match="batch statistics"):
        trainer.fit()


def test_what_is_not_finite_on_one_rank_ends_the_run_on_all(
    run_script: Callable[..., Any], write_coco: Callable[..., Path]
) -> None:
    result = run_script("diverge_on_one_rank.py", write_coco(), folder="tests/training/ranks", ranks=2)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("batch statistics became NaN or infinite by step 1, first seen in the loss of") == 2


def test_a_diverged_loss_stops_the_run_and_keeps_the_checkpoint(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=1")
    run(config)
    before = experiment_of(config).last.read_bytes()
    trainer = trainer_of(tiny_config("train.epochs=2"), resume=True)
    with torch.no_grad():
        trainer.task.step.model.head.coordinates.bias.fill_(float("nan"))
    with pytest.raises(
        DivergedError,
        match=r"became NaN .*, first seen in the loss of annotation \d+ in .*jpg; .*last\.pt was saved before",
    ):
        trainer.fit()
    assert experiment_of(config).last.read_bytes() == before


def poison(monkeypatch: pytest.MonkeyPatch, persons: range) -> None:
    """Give these persons of every data set labels that are NaN."""
    honest = PoseDataset.__getitem__

    def poisoned(dataset: PoseDataset, key: tuple[int, int]) -> dict[str, Any]:
        item = honest(dataset, key)
        if key[1] in persons:
            item |= {"target": torch.full_like(item["target"], torch.nan), "weight": torch.ones_like(item["weight"])}
        return item

    monkeypatch.setattr(PoseDataset, "__getitem__", poisoned)


def test_a_nan_ends_the_run_with_the_persons_annotation(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, range(3, 4))
    trainer = trainer_of(tiny_config("train.epochs=5"))
    experiment_of(trainer.task.config).open(trainer.task.config, resume=False)
    identity = trainer.task.dataset.table.person_ids[3]
    with pytest.raises(
        DivergedError,
        match=rf"first seen in the loss of annotation {identity} in {trainer.task.dataset.table.image_path(3)}",
    ):
        trainer.fit()


def test_in_mode_skip_a_nan_costs_its_step_only_and_is_reported(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison(monkeypatch, range(3, 4))
    config = tiny_config("train.on_nonfinite=skip", "train.epochs=3")
    run(config)
    trainer = trainer_of(config, resume=True)
    assert all(parameter.isfinite().all() for parameter in trainer.parameters)
    identity = trainer.task.dataset.table.person_ids[3]
    told = [record.message for record in caplog.records if "not finite" in record.message]
    assert told and all("skipped 1 steps before step" in line and f"annotation {identity} in" in line for line in told)
    assert len(losses(config)) == 3 * len(trainer.task.order) - len(told)
    assert all(np.isfinite(losses(config)))


def test_in_mode_skip_an_epoch_without_a_finite_step_ends_the_run(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, range(1000))
    with pytest.raises(DivergedError, match=r"no step of epoch 1 had a finite gradient"):
        run(tiny_config("train.on_nonfinite=skip"))


def test_clipping_limits_the_norm_of_the_whole_gradient(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.clip_grad_norm=0.01")
    trainer = trainer_of(config)
    trainer.step(next(iter(trainer.task.loader)))
    norm = torch.stack([p.grad.norm() for p in trainer.parameters if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(0.01, rel=1e-3)
