"""Converted models compute what the originals do: the authors' reference values, and mmpose's formula written out."""

import math
import pathlib
import pickle
import re
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor

from rlepose.config.config import Config
from rlepose.convert.foreign_checkpoint import convert_checkpoint, load_flows, read_state
from rlepose.convert.layouts import convert_state
from rlepose.datasets.options import DataConfig
from rlepose.errors import InputError
from rlepose.losses import RLE, Criterion
from rlepose.losses.flows import JointFlows, RealNVP
from rlepose.losses.options import RLEConfig
from rlepose.models.heads import RegressionHead
from rlepose.pose.codec import joint_scores
from rlepose.pose.frames import Frames
from rlepose.pose.skeleton import H36M
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.trained_model import network_from_checkpoint, open_checkpoint
from tests.convert.authors import AuthorsNetwork, reference_state, resnet_state
from tests.predicting import criterion_of, without_network


@pytest.fixture
def official(reference: Mapping[str, NDArray]) -> AuthorsNetwork:
    return AuthorsNetwork(reference, "head2d")


def test_the_authors_head_and_loss_are_reproduced(
    official: AuthorsNetwork, reference: Mapping[str, NDArray], tmp_path: Path
) -> None:
    torch.save(official.state, tmp_path / "theirs.pth")
    convert_checkpoint(tmp_path / "theirs.pth", tmp_path / "ours.pt")
    checkpoint = load_checkpoint(tmp_path / "ours.pt")
    model = network_from_checkpoint(checkpoint, checkpoint.config, "ours.pt")
    criterion = criterion_of(checkpoint)

    values = {name: torch.from_numpy(reference[f"head2d/{name}"]) for name in ("features", "mu", "sigma", "score")}
    output = model.head([values["features"][..., None, None]])
    torch.testing.assert_close(output.mu, values["mu"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output.sigma, values["sigma"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(joint_scores(output), values["score"][..., 0], rtol=1e-5, atol=1e-5)
    target, weight = (torch.from_numpy(reference[f"head2d/{name}"]) for name in ("target", "weight"))
    assert criterion(output, target, weight).mean().item() == pytest.approx(reference["head2d/loss"].item(), rel=1e-5)


@torch.no_grad()
def test_the_authors_pixels_come_to_the_same_pose(official: AuthorsNetwork, tmp_path: Path) -> None:
    torch.save(official.state, tmp_path / "theirs.pth")
    convert_checkpoint(tmp_path / "theirs.pth", tmp_path / "ours.pt", (64, 48))
    checkpoint = load_checkpoint(tmp_path / "ours.pt")
    image = torch.randint(0, 256, (2, 3, 64, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    output = network_from_checkpoint(checkpoint, checkpoint.config, "ours.pt")(image)

    theirs = official.pose(image / 255 - torch.tensor([0.406, 0.457, 0.480]).view(3, 1, 1))
    torch.testing.assert_close(output.mu, theirs.mu, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.sigma, theirs.sigma, rtol=1e-4, atol=1e-5)


def test_the_authors_head_in_3d_is_reproduced(reference: Mapping[str, NDArray]) -> None:
    converted = convert_state(AuthorsNetwork(reference, "head3d").state)
    assert (converted.joints, converted.dims) == (18, 3)
    head = RegressionHead([512], [32], 18, dims=3)
    head.load_state_dict({k.removeprefix("head."): v for k, v in converted.model.items() if k.startswith("head.")})
    criterion = Criterion([RLE(JointFlows([RealNVP(dims)])) for dims in (3, 2)])
    load_flows(criterion, converted, Path("theirs.pth"))
    features, target, weight = (
        torch.from_numpy(reference[f"head3d/{name}"]) for name in ("features", "target", "weight")
    )
    output = head([features[..., None, None]])
    torch.testing.assert_close(output.mu, torch.from_numpy(reference["head3d/mu"]), rtol=1e-5, atol=1e-5)
    assert criterion(output, target, weight).mean().item() == pytest.approx(reference["head3d/loss"].item(), rel=1e-5)


def test_the_authors_depth_is_relative_to_the_roots(reference: Mapping[str, NDArray]) -> None:
    whole_picture = Frames(np.tile(np.array([[1.0, 0, 0], [0, 1, 0]]), (4, 1, 1)), np.array([256.0, 256.0]))
    config = Config(data=DataConfig(format="h36m"), loss=RLEConfig(root_depth=True))
    keypoints, _ = without_network(config, H36M).in_picture(reference["head3d/mu"], None, whole_picture)
    np.testing.assert_allclose(keypoints[..., 2] / 2000, reference["head3d/mu_eval"][..., 2], atol=1e-6)


def test_the_authors_models_in_3d_become_checkpoints(reference: Mapping[str, NDArray], tmp_path: Path) -> None:
    torch.save(AuthorsNetwork(reference, "head3d").state, tmp_path / "theirs.pth")
    convert_checkpoint(tmp_path / "theirs.pth", tmp_path / "ours.pt", (64, 64))
    checkpoint = load_checkpoint(tmp_path / "ours.pt")
    assert checkpoint.skeleton == H36M and checkpoint.config.dims == 3 and checkpoint.config.loss.root_depth
    model = open_checkpoint(tmp_path / "ours.pt", checkpoint.config, checkpoint, torch.device("cpu"))
    assert model.network(torch.zeros(1, 3, 64, 64)).mu.shape == (1, 18, 3)
    assert [likelihood.dims for likelihood in criterion_of(checkpoint).likelihoods] == [3, 2]
    assert checkpoint.spread is not None
    assert torch.equal(checkpoint.spread, criterion_of(checkpoint).residual_spread(18))


@pytest.mark.parametrize(("head", "size_hw"), [("head2d", (256, 192)), ("head3d", (256, 256))])
def test_a_model_whose_crops_nobody_tells_has_those_of_the_paper(
    reference: Mapping[str, NDArray], tmp_path: Path, head: str, size_hw: tuple[int, int]
) -> None:
    torch.save(AuthorsNetwork(reference, head).state, tmp_path / "theirs.pth")
    data = convert_checkpoint(tmp_path / "theirs.pth", tmp_path / "ours.pt").config.data
    assert data.input_size_hw == size_hw
    assert data.detection_boxes == ("unchanged" if head == "head2d" else "clipped")  # there are none in 3-D


class TheirFlow(torch.nn.Module):
    """mmpose's RealNVP, plainly."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(2))
        self.register_buffer("cov", torch.eye(2))
        self.register_buffer("mask", torch.tensor([[0.0, 1], [1, 0]] * 3))

        def network() -> torch.nn.Sequential:
            sizes = [torch.nn.Linear(2, 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, 2)]
            return torch.nn.Sequential(sizes[0], torch.nn.LeakyReLU(), sizes[1], torch.nn.LeakyReLU(), sizes[2])

        self.s = torch.nn.ModuleList(network() for _ in range(6))
        self.t = torch.nn.ModuleList(network() for _ in range(6))

    def log_prob(self, x: Tensor) -> Tensor:
        log_det = torch.zeros(len(x))
        for i in reversed(range(6)):
            kept = self.mask[i] * x
            scale = self.s[i](kept).tanh() * (1 - self.mask[i])
            shift = self.t[i](kept) * (1 - self.mask[i])
            x = kept + (1 - self.mask[i]) * (x - shift) * (-scale).exp()
            log_det = log_det - scale.sum(dim=1)
        return log_det - x.square().sum(dim=1) / 2 - math.log(2 * math.pi)


@torch.no_grad()
@pytest.mark.parametrize("names", [("head.", "loss_module."), ("keypoint_head.", "loss.")])
def test_mmposes_positions_scales_and_loss_are_reproduced(tmp_path: Path, names: tuple[str, str]) -> None:
    head, loss = names
    resnet, state = resnet_state("backbone.")
    fc, flow = torch.nn.Linear(512, 17 * 4), TheirFlow()
    torch.nn.init.normal_(fc.weight, std=0.02)
    state |= {f"{head}fc.{name}": value for name, value in fc.state_dict().items()}
    state |= {f"{head}{loss}flow_model.{name}": value for name, value in flow.state_dict().items()}
    torch.save({"meta": {"epoch": 210}, "state_dict": state}, tmp_path / "theirs.pth")
    convert_checkpoint(tmp_path / "theirs.pth", tmp_path / "ours.pt", (64, 48))
    checkpoint = load_checkpoint(tmp_path / "ours.pt")
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, 64, 48), dtype=torch.uint8, generator=generator)
    output = network_from_checkpoint(checkpoint, checkpoint.config, "ours.pt")(image)

    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]))
    theirs = fc(resnet((image - mean) / std)).view(2, 17, 4)
    assert checkpoint.config.data.detection_boxes == "unchanged"
    # Their positions are shares of the crop, ours are that minus 0.5.
    torch.testing.assert_close(output.mu + 0.5, theirs[..., :2], rtol=1e-4, atol=1e-5)
    sigma = theirs[..., 2:].sigmoid()
    torch.testing.assert_close(output.sigma, sigma, rtol=1e-4, atol=1e-5)

    criterion = criterion_of(checkpoint)
    target = torch.rand(2, 17, 2, generator=generator)
    error = (theirs[..., :2] - target) / sigma
    log_phi = flow.log_prob(error.reshape(-1, 2)).view(2, 17, 1)
    their_loss = (sigma.log() - log_phi + (2 * sigma).log() + error.abs()).sum(dim=(1, 2))
    our_loss = criterion(output, target - 0.5, torch.ones(2, 17, 2))
    # Twice ours but for constants, which do not depend on the person.
    difference = their_loss - 2 * our_loss
    assert difference[0].item() == pytest.approx(difference[1].item(), abs=1e-2)
    assert (their_loss[0] - their_loss[1]).abs() > 1


@pytest.mark.parametrize("depth", [34, 50])
def test_deeper_resnets_are_recognised(reference: Mapping[str, NDArray], depth: int) -> None:
    with torch.device("meta"):
        resnet = getattr(torchvision.models, f"resnet{depth}")()
    state = {f"preact.{name}": value for name, value in resnet.state_dict().items()}
    assert convert_state(state | reference_state(reference, "head2d")).backbone == f"resnet{depth}.tv_in1k"


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_arrays_and_numbers_beside_the_weights_are_no_hindrance(tmp_path: Path, core: str) -> None:
    state = {"weight": torch.ones(2)}
    meta = {"dataset_meta": {"sigmas": np.ones(17, np.float32), "flip": np.arange(17), "best": np.float64(0.7)}}
    torch.save({"meta": meta, "state_dict": state}, tmp_path / "theirs.pth")
    with zipfile.ZipFile(tmp_path / "theirs.pth") as written, zipfile.ZipFile(tmp_path / "as_of.pth", "w") as as_of:
        for name in written.namelist():  # as the NumPy of either name would have written it
            as_of.writestr(name, re.sub(rb"numpy\._?core", core.encode(), written.read(name)))
    assert read_state(tmp_path / "as_of.pth").keys() == state.keys()


def test_a_class_that_keeps_a_file_from_loading_is_named_with_the_way_around(tmp_path: Path) -> None:
    torch.save({"message_hub": {"loss": pathlib.PurePosixPath("a")}, "state_dict": {}}, tmp_path / "theirs.pth")
    with pytest.raises(InputError, match=r"\(Unsupported global: GLOBAL pathlib[\w.]*PurePosixPath\)") as refused:
        read_state(tmp_path / "theirs.pth")
    assert "\x1b" not in str(refused.value) and "python -c" in str(refused.value)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code ran",)


def test_what_cannot_be_converted_is_told(
    official: AuthorsNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = official.state
    path, out = tmp_path / "theirs.pth", tmp_path / "ours.pt"
    cases: list[tuple[object, str]] = [
        ({}, "expected weights of the authors' RLE models"),
        ([1, 2], "contains no state dict"),
        ({"state_dict": {"a": 1}}, "contains no state dict"),
        ({k: v for k, v in state.items() if k != "fc_sigma.linear.bias"}, "fc_sigma.linear.bias is missing"),
        ({k: v for k, v in state.items() if "layer3" not in k}, "expected a ResNet"),
        ({k: v for k, v in state.items() if k != "flow.s.0.0.weight"}, "flow.s.0.0.weight is missing"),
        ({k: v[:20] if k.startswith("fc_") else v for k, v in state.items()}, "has 10 joints, but COCO has 17"),
        (Harmful(), "could run code"),
    ]
    for content, message in cases:
        if isinstance(content, Harmful):
            path.write_bytes(pickle.dumps(content, protocol=2))
        else:
            torch.save(content, path)
        with pytest.raises(InputError, match=message):
            convert_checkpoint(path, out)
        assert not out.exists()
    assert "code ran" not in capsys.readouterr().out


def test_the_command_writes_a_checkpoint_that_predicts(
    official: AuthorsNetwork,
    run_script: Callable[..., subprocess.CompletedProcess[str]],
    synthetic: Path,
    tmp_path: Path,
) -> None:
    from rlepose.inference import Predictor

    torch.save(official.state, tmp_path / "theirs.pth")
    result = run_script(
        "convert_checkpoint.py", tmp_path / "theirs.pth", "--to", tmp_path / "ours.pt", "--input-size", 64, 48
    )
    assert result.returncode == 0, result.stderr
    assert "resnet18.tv_in1k, 17 joints" in result.stdout
    (picture,) = Predictor(tmp_path / "ours.pt", "cpu").predict(sorted((synthetic / "val").iterdir())[0], "whole")
    assert picture.persons[0].keypoints.shape == (17, 2)


def test_the_command_needs_no_input_size_for_a_model_in_3d(
    reference: Mapping[str, NDArray], run_script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    torch.save(AuthorsNetwork(reference, "head3d").state, tmp_path / "theirs.pth")
    result = run_script("convert_checkpoint.py", tmp_path / "theirs.pth", "--to", tmp_path / "ours.pt")
    assert result.returncode == 0, result.stderr
    assert load_checkpoint(tmp_path / "ours.pt").config.data.input_size_hw == (256, 256)
