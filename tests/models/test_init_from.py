"""Starting from the backbone of another experiment."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.errors import InputError
from rlepose.losses import LOSSES
from rlepose.models.pose_model import PoseModel, build_model


def config_of(backbone: str = "test_resnet", loss: str = "rle", **model: Any) -> Config:
    head = {"name": "heatmap" if loss == "heatmap_mse" else "regression"}
    backbones = {"name": backbone, "pretrained": False}
    return config_from_dict(
        {"name": "case", "model": {"backbone": backbones, "head": head, **model}, "loss": {"name": loss}}
    )


def model_of(config: Config, seed: int, joints: int = 5) -> PoseModel:
    torch.manual_seed(seed)
    return build_model(config.model, joints, LOSSES[config.loss.name].needs_sigma)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A heatmap experiment, of another number of joints."""
    config = config_of(loss="heatmap_mse")
    path = tmp_path / "best.pt"
    torch.save({"config": config.to_dict(), "model": model_of(config, seed=1, joints=3).state_dict()}, path)
    return path


def test_the_backbone_is_the_checkpoints_and_the_head_is_new(
    checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    trained = torch.load(checkpoint, weights_only=True)["model"]
    model = model_of(config_of(init_from=str(checkpoint)), seed=0)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, trained[f"backbone.{name}"])
    count = len(model.backbone.state_dict())
    of_head = len(trained) - count
    assert f"loaded {count} of the backbone's {count} tensors" in caplog.text
    assert (
        f"only in the checkpoint, not loaded: {of_head} tensors (head.layers.deconvolutions, head.layers.last)"
        in caplog.text
    )


def test_what_a_backbone_for_heatmaps_lacks_keeps_its_value_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    small = config_of("hrnet_w18_small", "heatmap_mse")
    trained = model_of(small, seed=1).state_dict()
    torch.save({"config": small.to_dict(), "model": trained}, tmp_path / "best.pt")
    whole = config_of("hrnet_w18_small", init_from=str(tmp_path / "best.pt"))
    model = model_of(whole, seed=0)
    state = model.backbone.state_dict()
    of_backbone = [name for name in trained if name.startswith("backbone.")]
    assert all(torch.equal(state[name.removeprefix("backbone.")], trained[name]) for name in of_backbone)
    assert "not in the checkpoint, unchanged:" in caplog.text
    assert all(value.isfinite().all() for value in state.values())


def test_other_normalisation_than_the_checkpoints_is_told(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    model_of(config_of(init_from=str(checkpoint)), seed=0)
    assert "pixel_std" not in caplog.text
    model_of(config_of(init_from=str(checkpoint), pixel_std=[1, 1, 1]), seed=0)
    assert "trained with model.pixel_std=[0.229, 0.224, 0.225], but this config has [1.0, 1.0, 1.0]" in caplog.text
    assert "pixel_mean" not in caplog.text


def test_a_checkpoint_that_fills_the_model_anyway_makes_init_from_unnecessary() -> None:
    config = config_of(init_from="nowhere.pt")
    build_model(config.model, 5, predict_sigma=True, pretrained=False)


def test_a_missing_checkpoint_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\.init_from: no such file: nowhere\.pt"):
        model_of(config_of(init_from="nowhere.pt"), seed=0)


@pytest.mark.parametrize("content", [{"weight": torch.zeros(2)}, b"not torch's"])
def test_another_file_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(InputError, match=r"weights\.pth is no checkpoint of this project .*model\.backbone\.weights"):
        model_of(config_of(init_from=str(path)), seed=0)


def test_a_folder_of_the_same_architecture_is_the_same_backbone(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "test_resnet", "pretrained_cfg": {}}')
    model = model_of(config_of(f"local-dir:{tmp_path}", init_from=str(checkpoint)), seed=0)
    trained = torch.load(checkpoint, weights_only=True)["model"]
    assert all(torch.equal(value, trained[f"backbone.{name}"]) for name, value in model.backbone.state_dict().items())


def test_another_backbone_is_refused(checkpoint: Path) -> None:
    with pytest.raises(InputError, match=r"best\.pt has the backbone test_resnet, but model\."):
        model_of(config_of("resnet18", init_from=str(checkpoint)), seed=0)


def test_a_backbone_of_other_widths_is_refused(checkpoint: Path) -> None:
    tree = torch.load(checkpoint, weights_only=True)
    name = next(iter(tree["model"]))
    tree["model"][name] = tree["model"][name][:1]
    torch.save(tree, checkpoint)
    with pytest.raises(InputError, match=rf"{name} has shape .*best\.pt, .*model\.backbone\.options"):
        model_of(config_of(init_from=str(checkpoint)), seed=0)
