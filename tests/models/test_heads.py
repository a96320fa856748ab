"""Every head on every kind of backbone: shapes, gradients, precision, and who goes with which loss."""

import typing

import pytest
import torch
from torch import Tensor

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.config.support import refusal
from rlepose.losses import LOSSES, build_criterion
from rlepose.models.backbones import Backbone
from rlepose.models.heads import HEADS, POSITIVE, IntegralHead, RegressionHead, build_head
from rlepose.models.options import AnyHead, SigmaHeadConfig
from rlepose.models.pose_model import PoseModel, build_model
from rlepose.options import variants
from rlepose.pose.codec import joint_scores
from rlepose.pose.heatmaps import Alignment

K = 5
PAIRS = [(head, loss) for head in HEADS for loss in LOSSES if refusal("top_down", head, loss, 2) is None]
BACKBONES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "hrnet_w32", "hrnet_w48"]


def config_of(head: str, loss: str = "", backbone: str = "test_resnet", **options: object) -> Config:
    loss = loss or ("heatmap_mse" if head == "heatmap" else "rle")
    model = {"backbone": {"name": backbone, "pretrained": False}, "head": {"name": head, **options}}
    return config_from_dict({"name": "case", "model": model, "loss": {"name": loss}})


def model_of(config: Config) -> PoseModel:
    torch.manual_seed(0)
    return build_model(config.model, K, LOSSES[config.loss.name].needs_sigma)


def batch(size: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, size, size), generator=generator, dtype=torch.uint8)
    return image, torch.rand(2, K, 2, generator=generator) - 0.5, torch.ones(2, K, 2)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_each_backbone_learns_by_each_head(backbone: str, head: str) -> None:
    config = config_of(head, backbone=backbone)
    model, criterion = model_of(config), build_criterion(config.loss, K)
    image, target, weight = batch()
    output = model(image)
    assert output.mu.shape == (2, K, 2) and joint_scores(output).shape == (2, K)
    assert (output.sigma is None) == (head == "heatmap")
    if output.heatmaps is not None:
        assert output.heatmaps.values.shape == (2, K, 16, 16)
    criterion(output, target, weight).mean().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(("head", "loss"), PAIRS)
def test_each_head_goes_with_each_loss_that_suits_it(head: str, loss: str) -> None:
    config = config_of(head, loss)
    model, criterion = model_of(config), build_criterion(config.loss, K)
    image, target, weight = batch()
    losses = criterion(model(image), target, weight)
    losses.sum().backward()
    assert losses.shape == (2,) and losses.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in [*model.parameters(), *criterion.parameters()])


@pytest.mark.parametrize(
    ("backbone", "head", "millions"),
    [
        ("resnet50", "regression", 23.6),  # Li et al. 2021, table 1
        ("resnet50", "heatmap", 34.0),  # Xiao et al. 2018, table 2
        ("resnet152", "heatmap", 68.6),
        ("hrnet_w32", "heatmap", 28.5),  # Sun et al. 2019, table 1
        ("hrnet_w48", "heatmap", 63.6),
    ],
)
def test_models_have_the_published_numbers_of_parameters(backbone: str, head: str, millions: float) -> None:
    config = config_of(head, backbone=backbone)
    with torch.device("meta"):
        model = build_model(config.model, 17, LOSSES[config.loss.name].needs_sigma)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("name", HEADS)
def test_the_configs_names_build_the_heads(name: str) -> None:
    assert type(build_head(variants(AnyHead)[name](), Backbone("test_resnet"), K, predict_sigma=True)) is HEADS[name]


def test_the_sigmas_are_the_configs() -> None:
    assert typing.get_args(typing.get_type_hints(SigmaHeadConfig)["sigma"]) == tuple(POSITIVE)


@pytest.mark.parametrize("sigma", POSITIVE)
@pytest.mark.parametrize("head", ["regression", "integral"])
def test_sigma_is_positive_and_softplus_has_no_upper_end(head: str, sigma: str) -> None:
    model = model_of(config_of(head, sigma=sigma)).eval()
    torch.nn.init.constant_(model.head.scales.bias, 5.0)
    values = model(batch()[0]).sigma
    assert values.min() > 0
    assert (values > 1).all() == (sigma == "softplus")


def test_hidden_layers_stand_between_features_and_both_outputs() -> None:
    head = RegressionHead([8], [32], K, hidden=(6, 4))
    assert [tuple(p.shape) for p in head.hidden.parameters()] == [(6, 8), (6,), (4, 6), (4,)]
    assert head.coordinates.in_features == head.scales.in_features == 4
    output = head([torch.rand(2, 8, 3, 3)])
    (output.mu.sum() + output.sigma.sum()).backward()
    assert all(p.grad is not None and p.grad.any() for p in head.parameters())


@pytest.mark.parametrize("alignment", typing.get_args(Alignment))
def test_a_new_integral_head_starts_in_the_middle(alignment: str) -> None:
    mu = model_of(config_of("integral", alignment=alignment)).eval()(batch()[0]).mu
    assert mu.abs().max() < 0.05


def test_means_in_space_are_those_of_one_softmax_over_the_volume() -> None:
    head = IntegralHead([6], [4], num_keypoints=K, dims=3, depth_bins=4)
    torch.nn.init.normal_(head.layers.last.weight)
    maps = torch.rand(2, 6, 5, 3)
    output, heatmaps = head([maps]), head.layers(maps)
    density = heatmaps.values.view(2, K, -1).softmax(dim=2).view(2, K, 4, 5, 3)
    expected = [
        torch.einsum("bkdyx,x->bk", density, heatmaps.x),
        torch.einsum("bkdyx,y->bk", density, heatmaps.y),
        torch.einsum("bkdyx,d->bk", density, torch.tensor([-0.375, -0.125, 0.125, 0.375])),
    ]
    torch.testing.assert_close(output.mu, torch.stack(expected, dim=-1))
    assert output.sigma is not None and output.sigma.shape == (2, K, 3)


@pytest.mark.parametrize("head", HEADS)
def test_positions_are_computed_in_float32_inside_autocast(head: str) -> None:
    model = model_of(config_of(head)).eval()
    maps = [torch.rand(1, *model.backbone.channels, 2, 2)]
    if head == "heatmap":
        torch.nn.init.normal_(model.head.layers.last.weight)
    with torch.autocast("cpu", torch.bfloat16):
        inside = model.head(maps)
    assert inside.mu.dtype == torch.float32
    assert inside.heatmaps is None or inside.heatmaps.values.dtype == torch.float32
    torch.testing.assert_close(inside.mu, model.head(maps).mu, rtol=0, atol=0.01)


def test_the_first_branch_alone_is_that_of_the_whole_hrnet() -> None:
    whole, first = Backbone("hrnet_w18_small").eval(), Backbone("hrnet_w18_small", first_map_only=True).eval()
    first.load_state_dict({k: v for k, v in whole.state_dict().items() if k in first.state_dict()})
    image = torch.rand(1, 3, 64, 64)
    (found,) = first(image)
    torch.testing.assert_close(found, whole(image)[0])
    assert first.channels == [16] and first.reductions == [4]
    assert sum(p.numel() for p in first.parameters()) < sum(p.numel() for p in whole.parameters())
