"""Before the first step: every parameter gets a gradient, and asking leaves no trace."""

import copy
import re
import subprocess
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.errors import InputError
from rlepose.losses import FLOWS, LIKELIHOODS, RealNVP, build_criterion
from rlepose.models.heads import HEADS, RegressionHead
from rlepose.models.pose_model import network_of
from rlepose.pose.codec import PoseOutput
from rlepose.tasks import top_down as top_down_module
from rlepose.tasks.top_down_checks import check_gradients
from tests.training.running import losses, run, trainer_of

TWO_MAPS = ("model.head.name=heatmap", "loss.name=heatmap_mse", "model.backbone.options={out_indices: [2, 3]}")
SENTENCE = (
    r"model\.head\.name: heatmap reads only the first of the backbone's 2 maps, so 22 parameters "
    r"\(model\.backbone\.features\.stages_3\.downsample\.0\.weight, …\) would not be trained; .*out_indices"
)


def case(loss: str = "rle", backbone: str = "test_resnet", dims: int = 2, **options: object) -> Config:
    data = {"format": "h36m"} if dims == 3 else {}
    return config_from_dict(
        {
            "name": "case",
            "data": {"input_size_hw": [32, 32], **data},
            "model": {"backbone": {"name": backbone, "pretrained": False, "options": options}},
            "loss": {"name": loss},
        }
    )


def check(config: Config) -> None:
    joints = 18 if config.dims == 3 else 5
    model = network_of(config, joints, pretrained=False)
    criterion = build_criterion(config.loss, joints, config.dims)
    check_gradients(config, model, criterion, joints, torch.device("cpu"))


@pytest.mark.parametrize("option", ["train.accumulate=2", "system.compile=default"])
def test_two_maps_with_a_head_that_reads_one_are_refused(
    option: str, tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, mode: lambda *_: pytest.fail("compiled"))
    monkeypatch.setattr(top_down_module, "check_compile", lambda *_: None)
    with pytest.raises(InputError, match=SENTENCE):
        trainer_of(tiny_config(*TWO_MAPS, option))


def test_two_ranks_are_refused_before_the_first_step(
    run_script: Callable[..., subprocess.CompletedProcess[str]], tiny_overrides: list[str]
) -> None:
    overrides = ["--set", *tiny_overrides, *TWO_MAPS]
    result = run_script("train.py", "--cfg", "configs/synthetic_res18_rle.yaml", *overrides, ranks=2)
    assert result.returncode != 0
    assert len(re.findall(SENTENCE, result.stderr)) == 1
    assert "steps per epoch" not in result.stdout + result.stderr


class WithSpare(RegressionHead):
    """Has a layer that it does not use."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.spare = nn.Linear(2, 2)


class Detached(RegressionHead):
    """Lets no gradient into the backbone."""

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        return super().forward([level.detach() for level in maps])


class LastMapAlone(RegressionHead):
    """Reads the last map, and gets no other."""

    def __init__(self, channels: list[int], reductions: list[int], *args: object, **options: object) -> None:
        super().__init__(channels[-1:], reductions[-1:], *args, **options)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        return super().forward(maps[-1:])


class Constant(RegressionHead):
    """Gives what nothing has a part in."""

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        return PoseOutput(maps[0].new_zeros(len(maps[0]), *self.shape), None)


class FlowWithSpare(RealNVP):
    """Has a number that it does not use."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.spare = nn.Parameter(torch.zeros(1))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (WithSpare, r"model\.head\.name: regression has 2 parameters \(model\.head\.spare\.weight, …\) without"),
        (Constant, r"model\.head\.name: regression has 2 parameters \(model\.head\.coordinates\.weight, …\)"),
        (Detached, r"model\.head\.name: regression reads none of the backbone's 1 maps, so \d+ parameters"),
    ],
)
def test_what_a_head_leaves_without_a_gradient_is_refused(
    head: type[RegressionHead], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HEADS, "regression", head)
    with pytest.raises(InputError, match=message):
        check(case("l1"))


class WithFrozen(WithSpare):
    """Has a layer that is not meant to learn."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.spare.requires_grad_(False)


def test_what_is_not_meant_to_learn_needs_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HEADS, "regression", WithFrozen)
    check(case("l1"))


def test_a_head_that_leaves_out_a_map_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HEADS, "regression", LastMapAlone)
    # The first branch's last layers serve nobody, while the others' reach the last.
    with pytest.raises(InputError, match=r"regression reads only 1 of the backbone's 4 maps, so \d+ parameters"):
        check(case(backbone="hrnet_w18_small"))


def test_a_backbone_with_layers_behind_its_last_map_is_refused_and_built_without_them() -> None:
    with pytest.raises(InputError, match=r"mobilenetv3_small_050 does not need 107 .*\{feature_cls: getter\}"):
        check(case(backbone="mobilenetv3_small_050", out_indices=[2]))
    check(case(backbone="mobilenetv3_small_050", out_indices=[2], feature_cls="getter"))


def test_a_flow_with_a_number_that_it_does_not_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FLOWS, "realnvp", FlowWithSpare)
    with pytest.raises(InputError, match=r"loss\.name: rle leaves 1 parameter \(criterion\..*spare\) without"):
        check(case())


@pytest.mark.parametrize("loss", LIKELIHOODS)
@pytest.mark.parametrize("dims", [2, 3])
def test_every_loss_passes(loss: str, dims: int) -> None:
    if (loss, dims) != ("basic", 3):  # which the config refuses
        check(case(loss, dims=dims))


def test_no_trace_is_left() -> None:
    """Batch statistics, random state, modes and gradients are as before, with dropout of layers and of weights."""
    config = case(drop_path_rate=0.5, drop_rate=0.5)
    model, criterion = network_of(config, 5, pretrained=False), build_criterion(config.loss, 5)
    state = copy.deepcopy((model.state_dict(), criterion.state_dict()))
    random = torch.get_rng_state()
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    check_gradients(config, model, criterion, 5, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), random)
    for before, after in zip(state, (model.state_dict(), criterion.state_dict()), strict=True):
        assert all(torch.equal(before[name], value) for name, value in after.items())
    assert all(module.training for module in [*model.modules(), *criterion.modules()])
    assert all(parameter.grad is None for parameter in [*model.parameters(), *criterion.parameters()])


def test_a_run_has_the_bits_of_one_that_was_not_checked(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (
        "model.backbone={name: test_resnet, options: {drop_path_rate: 0.5}}",
        "train.epochs=1",
        "eval.pictures=0",
    )
    checked, unchecked = (tiny_config(f"name={name}", *options) for name in ("checked", "unchecked"))
    run(checked)
    monkeypatch.setattr(top_down_module, "check_gradients", lambda *_: None)
    run(unchecked)
    assert losses(checked) == losses(unchecked)
