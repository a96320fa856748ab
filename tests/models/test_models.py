import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.errors import InputError
from rlepose.models.backbones import Backbone
from rlepose.models.heads import RegressionHead
from rlepose.models.options import BackboneConfig, TopDownModelConfig
from rlepose.models.pose_model import build_model

RANDOM_RESNET = TopDownModelConfig(backbone=BackboneConfig(name="resnet18", pretrained=False))


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100", "convnext_atto"])
def test_a_backbone_gives_one_map_of_the_channels_it_states(name: str) -> None:
    backbone = Backbone(name)
    (features,) = backbone(torch.zeros(1, 3, 64, 64))
    assert features.shape[:2] == (1, backbone.channels[0])


def test_models_that_give_channels_last_maps_are_turned_round() -> None:
    tiny = {"img_size": 64, "window_size": 2, "embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1)}
    backbone = Backbone("swin_tiny_patch4_window7_224", options=tiny)
    assert [tuple(level.shape) for level in backbone(torch.zeros(1, 3, 64, 64))] == [(1, 192, 2, 2)]
    assert backbone.channels == [192]


def test_hrnet_gives_its_four_branches() -> None:
    backbone = Backbone("hrnet_w18_small")
    maps = backbone(torch.zeros(1, 3, 64, 64))
    assert backbone.channels == [16, 32, 64, 128]
    assert [tuple(level.shape) for level in maps] == [(1, 16, 16, 16), (1, 32, 8, 8), (1, 64, 4, 4), (1, 128, 2, 2)]


def test_hrnet_w32_has_the_branches_of_the_paper() -> None:
    assert Backbone("hrnet_w32").channels == [32, 64, 128, 256]


def test_an_unknown_backbone_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"'resnt18'; the nearest names are resnet18,"):
        Backbone("resnt18")


def saved(folder: Path, architecture: str) -> dict[str, torch.Tensor]:
    """A model with random weights in a folder of the kind that the Hugging Face hub holds: its state."""
    import timm

    torch.manual_seed(1)
    state = timm.create_model(architecture).state_dict()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architecture": architecture, "pretrained_cfg": {}}))
    torch.save(state, folder / "pytorch_model.bin")
    return state


def test_a_backbone_comes_from_a_folder_with_its_weights(tmp_path: Path) -> None:
    state = saved(tmp_path / "mine", "test_resnet")
    backbone = Backbone(f"local-dir:{tmp_path / 'mine'}", pretrained=True)
    assert torch.equal(backbone.features.conv1[0].weight, state["conv1.0.weight"])


def test_weights_of_ones_own_go_before_the_folders(tmp_path: Path) -> None:
    saved(tmp_path / "mine", "test_resnet")
    other = {name: value + 1 for name, value in torch.load(tmp_path / "mine" / "pytorch_model.bin").items()}
    torch.save(other, tmp_path / "weights.pth")
    backbone = Backbone(f"local-dir:{tmp_path / 'mine'}", pretrained=True, weights=str(tmp_path / "weights.pth"))
    assert torch.equal(backbone.features.conv1[0].weight, other["conv1.0.weight"])


def test_a_folder_with_weights_of_another_model_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "mine", "test_resnet")
    torch.save({"a": torch.zeros(1)}, tmp_path / "mine" / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"cannot load the weights of 'local-dir:.*pretrained=false"):
        Backbone(f"local-dir:{tmp_path / 'mine'}", pretrained=True)


def test_a_backbone_of_the_hub_has_the_branches_of_its_architecture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    saved(tmp_path / "mine", "hrnet_w18_small")
    monkeypatch.setattr("timm.models._hub.hf_hub_download", lambda _, name, **__: str(tmp_path / "mine" / name))
    assert Backbone("hf-hub:somebody/some-net").channels == [16, 32, 64, 128]


@pytest.mark.parametrize("name", ["local-dir:nowhere", "hf-hub:somebody/some-net"])
def test_a_prefixed_name_that_leads_nowhere_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=rf"model\.backbone\.name: '{name}' does not lead to a config\.json"):
        Backbone(name)


def test_an_unknown_backbone_option_is_refused() -> None:
    with pytest.raises(InputError, match="no_such_option"):
        Backbone("resnet18", options={"no_such_option": 1})


def test_pretrained_weights_come_from_a_local_file(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(1)
    whole = timm.create_model("resnet18")
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    backbone = Backbone("resnet18", pretrained=True, weights=str(tmp_path / "weights.pth"))
    assert torch.equal(backbone.features.layer3[0].conv1.weight, whole.layer3[0].conv1.weight)


def test_a_wrong_weights_file_is_refused_with_a_mend(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights\.pth contains no weights of 'resnet18'.*pretrained=false"):
        Backbone("resnet18", pretrained=True, weights=str(tmp_path / "weights.pth"))


def test_without_network_the_message_says_which_file_to_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"huggingface\.co/timm/resnet18\.tv_in1k.*model\.backbone\.weights=FILE"):
        Backbone("resnet18.tv_in1k", pretrained=True)


def test_head_pools_and_joins_all_maps() -> None:
    head = RegressionHead([2, 3], [8, 16], num_keypoints=4)
    maps = [torch.rand(2, 2, 8, 8), torch.rand(2, 3, 4, 4)]
    pooled = [level.mean(dim=(2, 3), keepdim=True) for level in maps]
    torch.testing.assert_close(head(maps).mu, head(pooled).mu)
    assert head(maps).mu.shape == (2, 4, 2)


def test_normalised_features_make_mu_independent_of_their_length() -> None:
    maps = [torch.rand(2, 6, 1, 1)]
    normalised, plain = RegressionHead([6], [32], 3), RegressionHead([6], [32], 3, normalize_features=False)
    torch.testing.assert_close(normalised(maps).mu, normalised([10 * maps[0]]).mu)
    assert not torch.allclose(plain(maps).mu, plain([10 * maps[0]]).mu)
    assert not torch.allclose(normalised(maps).sigma, normalised([10 * maps[0]]).sigma)


def test_a_new_head_starts_in_the_middle_with_half_a_crop_of_scale() -> None:
    output = RegressionHead([512], [32], 17)([torch.rand(4, 512, 4, 4)])
    assert output.mu.abs().max() < 0.02
    torch.testing.assert_close(output.sigma, torch.full_like(output.sigma, 0.5), atol=0.02, rtol=0)


def test_a_head_without_scale_gives_none() -> None:
    head = RegressionHead([8], [32], 3, predict_sigma=False)
    assert head([torch.rand(1, 8, 2, 2)]).sigma is None
    assert [name for name, _ in head.named_parameters()] == ["coordinates.weight", "coordinates.bias"]


def test_the_head_computes_in_float32_inside_autocast() -> None:
    head, maps = RegressionHead([8], [32], 3), [torch.rand(1, 8, 2, 2)]
    with torch.autocast("cpu", torch.bfloat16):
        inside = head(maps)
    assert inside.mu.dtype == torch.float32
    torch.testing.assert_close(inside.mu, head(maps).mu, rtol=0, atol=0)


def test_the_model_takes_bytes_and_normalises_them_itself() -> None:
    model = build_model(RANDOM_RESNET, num_keypoints=3, predict_sigma=True).eval()
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    mean, std = torch.tensor(RANDOM_RESNET.pixel_mean), torch.tensor(RANDOM_RESNET.pixel_std)
    by_hand = (image / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    expected = model.head(model.backbone(by_hand))
    torch.testing.assert_close(model(image).mu, expected.mu)
    torch.testing.assert_close(model(image.float()).mu, expected.mu)


def test_the_model_contains_no_flow() -> None:
    model = build_model(RANDOM_RESNET, num_keypoints=3, predict_sigma=True)
    assert not any("flow" in name or "coupling" in name for name in model.state_dict())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnetx18", r"no model 'resnetx18'; the nearest names are .*resnet18.*timm\.list_models\(\)\)' lists all"),
        ("timm/resnet18", r"give hf-hub:timm/resnet18; the nearest names are resnet18,"),
        ("resnet18.imagenet", r"no weights 'imagenet' of resnet18; choose from resnet18, .*resnet18\.a1_in1k"),
    ],
)
def test_a_wrong_backbone_name_is_answered_with_names_that_exist(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        Backbone(name)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("options", [{"out_indices": [9]}, {"norm_layer": "x"}, {"act_layer": "x" * 9000}])
def test_wrong_backbone_options_are_named_whatever_timm_raises(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"model\.backbone\.options: timm cannot build 'resnet18' .* remove them with"):
        Backbone("resnet18", options=options)


def test_missing_weights_without_a_network_are_one_sentence_and_no_retries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://localhost:1")  # where nobody answers
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waits to try again"))
    with pytest.raises(InputError, match=r"'resnet18' were not downloaded before, and cannot be .*Connection refused"):
        Backbone("resnet18", pretrained=True)
    with pytest.raises(InputError, match=r"'hf-hub:a/b' .* \(it was not downloaded before, and cannot be now: http://"):
        Backbone("hf-hub:a/b")
    assert "thrown" not in caplog.text and not constants.HF_HUB_OFFLINE


def test_a_missing_file_of_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.backbone\.weights: no such file: .*none\.pth; correct the path"):
        Backbone("resnet18", pretrained=True, weights=str(tmp_path / "none.pth"))
