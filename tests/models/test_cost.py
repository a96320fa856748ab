"""Counted parameters and multiply-adds, held against the paper's and against counting by hand."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlepose.config.config import Config
from rlepose.config.reading import load_config
from rlepose.errors import InputError
from rlepose.jobs.train import train
from rlepose.models.cost import model_cost
from rlepose.models.speed import persons_per_second
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment

ROOT = Path(__file__).parents[2]


def test_the_papers_network_costs_what_the_paper_says() -> None:
    cost = model_cost(load_config(ROOT / "configs" / "coco_res50_rle.yaml"))
    assert cost.parameters == pytest.approx(23.6e6, abs=0.05e6)
    assert cost.multiply_adds == pytest.approx(4.0e9, abs=0.05e9)
    # mu and sigma of 17 joints in two dimensions, each a weighted sum of 2048 features and a bias.
    assert cost.head_parameters == 68 * 2049
    assert cost.head_multiply_adds == 68 * 2048


def test_only_the_backbone_grows_with_the_picture(tiny_config: Callable[..., Config]) -> None:
    small, large = (
        model_cost(tiny_config("model.backbone.name=test_resnet", f"data.input_size_hw={size}"))
        for size in ("[64, 64]", "[128, 64]")
    )
    assert large.multiply_adds - large.head_multiply_adds == 2 * (small.multiply_adds - small.head_multiply_adds)
    assert large.parameters == small.parameters
    assert large.head_multiply_adds == small.head_multiply_adds


def test_counting_touches_neither_random_numbers_nor_weights(tiny_config: Callable[..., Config]) -> None:
    before = torch.get_rng_state()
    # Weights that cannot be had: none are asked for.
    overrides = ["model.backbone.name=resnet18", "model.backbone.pretrained=true", "model.backbone.weights=no.pth"]
    assert model_cost(tiny_config(*overrides)).parameters > 11e6
    assert torch.equal(torch.get_rng_state(), before)


def test_the_number_of_joints_must_be_known(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"data\.num_keypoints: null"):
        model_cost(tiny_config("data.num_keypoints=null"))


def test_the_command_prints_a_line_for_a_config(run_script: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    result = run_script("model_info.py", "--cfg", "configs/lspet64_l1.yaml", "--set", "model.backbone.name=test_resnet")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[1].split()[0] == "lspet64_l1"


def test_networks_are_timed_at_their_sizes(tiny_config: Callable[..., Config]) -> None:
    configs = {
        str(size): tiny_config("model.backbone.name=test_resnet", f"data.input_size_hw=[{size}, {size}]")
        for size in (32, 256)
    }
    speeds = persons_per_second(configs, torch.device("cpu"), batch=4, rounds=3)
    assert speeds.keys() == configs.keys()
    # 64 times the pixels: far from any noise.
    assert 0 < speeds["256"] < speeds["32"]


def test_a_lifting_network_costs_its_linear_layers(lifting_config: Callable[..., Config]) -> None:
    cost = model_cost(lifting_config("model.width=32", "model.blocks=1"))
    # From 34 numbers to 32, twice from 32 to 32, and to mu and sigma of 16 joints.
    assert cost.multiply_adds == 34 * 32 + 2 * 32 * 32 + cost.head_multiply_adds
    assert cost.head_multiply_adds == 2 * 32 * 48 and cost.head_parameters == 2 * 33 * 48
    assert model_cost(lifting_config("loss.name=l1")).head_parameters == 33 * 48


def test_lifting_networks_are_timed_too(lifting_config: Callable[..., Config]) -> None:
    assert persons_per_second({"lifting": lifting_config()}, torch.device("cpu"), rounds=1)["lifting"] > 0


def test_the_command_describes_a_lifting_checkpoint_beside_configs(
    run_script: Callable[..., subprocess.CompletedProcess[str]], lifting_config: Callable[..., Config]
) -> None:
    config = lifting_config("train.epochs=1", "eval.pictures=0")
    train(config, Ranks(0, 1, torch.device("cpu")))
    path = Experiment.of(config).best
    result = run_script("model_info.py", "--cfg", "configs/lspet64_l1.yaml", "--checkpoint", path)
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[1:3]] == ["lspet64_l1", str(path)]
    assert "loss laplace; after epoch 1 of 1" in result.stdout
    assert "in       (B, 34)" in result.stdout and "out      `mu` (B, 16, 3)" in result.stdout
    assert "expected absolute error of each coordinate" in result.stdout and "    model.width: 32\n" in result.stdout


def test_without_a_network_the_command_says_what_is_missing(
    run_script: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    result = run_script("model_info.py")
    assert result.returncode == 2 and "no network given; pass --cfg, --checkpoint, or both" in result.stderr
