"""The backbone's precision: what `auto` takes, says and keeps."""

import logging
from collections.abc import Callable

import pytest
import torch

from rlepose.config.config import Config
from rlepose.models.backbones import Backbone
from rlepose.runtime.checkpoint import load_checkpoint, save_checkpoint
from rlepose.runtime.precision import MOST_DEPTHWISE_WEIGHTS, choose_precision, depthwise_share
from tests.training.running import experiment_of, run, task_of, trainer_of

CPU = torch.device("cpu")
PLAIN, DEPTHWISE = torch.nn.Conv2d(8, 8, 3), torch.nn.Conv2d(8, 8, 3, groups=8)


@pytest.fixture
def computes_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """computes_in_bfloat16(False): have the CPU seem to be one that does not."""

    def pretend(supported: bool) -> None:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)

    return pretend


@pytest.mark.parametrize("name", ["bfloat16", "float32"])
def test_the_precision_is_the_one_asked_for(name: str, computes_in_bfloat16: Callable[[bool], None]) -> None:
    computes_in_bfloat16(name == "float32")
    assert choose_precision(name, CPU, DEPTHWISE).name == name


@pytest.mark.parametrize(
    ("supported", "network", "expected", "reason"),
    [
        (True, PLAIN, torch.bfloat16, "supported by the CPU"),
        (True, DEPTHWISE, torch.float32, "depthwise convolutions are slower"),
        (False, PLAIN, torch.float32, "does not support bfloat16"),
    ],
)
def test_on_a_cpu_auto_takes_bfloat16_where_it_is_faster_and_says_why(
    computes_in_bfloat16: Callable[[bool], None],
    supported: bool,
    network: torch.nn.Module,
    expected: torch.dtype,
    reason: str,
) -> None:
    computes_in_bfloat16(supported)
    chosen = choose_precision("auto", CPU, network)
    assert chosen.dtype == expected and reason in chosen.reason


@pytest.mark.parametrize(
    ("name", "much"),
    [
        ("resnet18", False),
        ("resnext50_32x4d", False),  # groups of several channels
        ("hrnet_w18_small", False),
        ("mobilenetv3_small_050", True),
        ("tf_efficientnet_lite0", True),
        ("convnext_tiny", False),  # its depthwise convolutions weigh little beside its linear layers
    ],
)
def test_backbones_in_which_depthwise_convolutions_weigh_much_are_known(name: str, much: bool) -> None:
    with torch.device("meta"):
        assert (depthwise_share(Backbone(name)) > MOST_DEPTHWISE_WEIGHTS) == much


def test_a_heads_weights_do_not_count(computes_in_bfloat16: Callable[[bool], None]) -> None:
    computes_in_bfloat16(True)
    network = torch.nn.ModuleDict({"backbone": DEPTHWISE, "head": torch.nn.Linear(1000, 1000)})
    assert choose_precision("auto", CPU, network).dtype == torch.float32


def test_a_run_says_its_precision_and_why(tiny_config: Callable[..., Config], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run(tiny_config("train.epochs=1", "system.precision=auto"))
    chosen = choose_precision("auto", CPU, Backbone("convnext_atto"))
    assert f"backbone in {chosen.name}: {chosen.reason}" in caplog.text


@pytest.mark.parametrize(("option", "keeps"), [("auto", True), ("float32", False)])
def test_a_resumed_run_keeps_the_precision_that_it_began_with(
    tiny_config: Callable[..., Config], option: str, keeps: bool
) -> None:
    config = tiny_config("train.epochs=1", f"system.precision={option}")
    run(config)
    path = experiment_of(config).last
    checkpoint = load_checkpoint(path, whole=True)
    other = {"float32": "bfloat16", "bfloat16": "float32"}[checkpoint.progress["precision"]]
    checkpoint.progress["precision"] = other  # as if begun on another machine
    save_checkpoint(path, checkpoint)
    trainer = trainer_of(config, resume=True)
    expected = other if keeps else "float32"
    assert trainer.tree()["progress"]["precision"] == expected
    assert task_of(trainer).step.precision == getattr(torch, expected)
