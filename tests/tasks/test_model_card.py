"""The card beside a checkpoint says what the checkpoint says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlepose.config.config import Config
from rlepose.config.reading import with_overrides
from rlepose.jobs.train import train
from rlepose.jobs.validate import validate_checkpoint
from rlepose.losses import LOSSES
from rlepose.pose.skeleton import COCO, Skeleton
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.checkpoint_file import card_path
from rlepose.runtime.distributed import Ranks
from rlepose.tasks import model_card as model_card_module
from rlepose.tasks.model_card import model_card, with_calibration
from tests.training.running import experiment_of

ALONE = Ranks(0, 1, torch.device("cpu"))
PERSONS = {"training": (2, {"crowd": 3}), "validation": (3, {})}


def trained(config: Config) -> tuple[Path, str]:
    train(config, ALONE)
    path = experiment_of(config).best
    return path, card_path(path).read_text(encoding="utf-8")


def test_the_card_says_what_checkpoint_and_data_say(tiny_config: Callable[..., Config], synthetic: Path) -> None:
    path, card = trained(tiny_config("train.epochs=1"))
    checkpoint = load_checkpoint(path)
    recipe = card.partition("## Recipe")[2].partition("## Metrics")[0]
    overrides = [line.strip().replace(": ", "=", 1) for line in recipe.splitlines() if line.startswith("    ")]
    assert with_overrides(Config(), overrides) == checkpoint.config
    for name, value in checkpoint.metrics.items():
        assert f"| {name} | {'–' if value is None else f'{value:.4f}'} |" in card
    assert f"joints: {', '.join(checkpoint.skeleton.names)}\n" in card
    assert f"after epoch {checkpoint.progress['epoch']} of 1." in card
    for use, split in (("training", "train"), ("validation", "val")):
        file = synthetic / "annotations" / f"person_keypoints_{split}.json"
        count = len(json.loads(file.read_text(encoding="utf-8"))["annotations"])
        assert f"* {use}: {count} persons of `{file}`" in card
    assert "(B, 3, 64, 64)" in card and "sigma times the flow's spread" in card


def test_a_task_without_texts_for_its_card_fails_before_the_first_step(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(config: Config, skeleton: Skeleton) -> None:
        raise NotImplementedError("no card texts")

    monkeypatch.setattr(model_card_module, "card_texts", without)
    config = tiny_config()
    with pytest.raises(NotImplementedError, match="no card texts"):
        train(config, ALONE)
    assert not experiment_of(config).last.exists()


def test_calibration_is_filled_in_once_it_is_measured(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    path, before = trained(tiny_config("train.epochs=1", "loss.name=laplace"))
    assert "Not measured yet" in before
    checkpoint = load_checkpoint(path)
    metrics = validate_checkpoint(path, checkpoint.config, checkpoint, ["gt"], tmp_path, ALONE, calibration=True)
    after = card_path(path).read_text(encoding="utf-8")
    assert "Not measured yet" not in after and after.count("## Calibration") == 1
    assert f"| NLL | {metrics['gt/NLL']:.4f} |" in after
    assert after.partition("## Calibration")[0] == before.partition("## Calibration")[0]
    assert with_calibration(after, {"NLL": 1.0}, tmp_path).count("## Calibration") == 1


@pytest.mark.parametrize("loss", list(LOSSES))
def test_the_card_explains_sigma_where_the_loss_learns_one(loss: str) -> None:
    head = "heatmap" if loss == "heatmap_mse" else "regression"
    config = with_overrides(Config(name="case"), [f"loss.name={loss}", f"model.head.name={head}"])
    card = model_card(config, COCO, {"gt/AP": 0.5, "gt/APM": None}, epoch=1, persons=PERSONS)
    assert (f"No sigma: the loss {loss} does not learn one." in card) == (not LOSSES[loss].needs_sigma)
    assert (f"`sigma` (B, K, 2), in the same unit: {LOSSES[loss].about_sigma}." in card) == LOSSES[loss].needs_sigma
    assert "| gt/APM | – |" in card
    assert "* training: 2 persons of " in card and "`; left out: 3 × crowd\n" in card
