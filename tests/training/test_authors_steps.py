"""The trainer's steps are those of the authors' code, to the digits of float64: 30 in 2-D, 10 in 3-D, Adam and SGD."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.convert.foreign_checkpoint import config_of
from rlepose.convert.layouts import from_official
from rlepose.datasets.options import DataConfig
from rlepose.losses.options import RLEConfig
from rlepose.models.pose_model import network_of
from rlepose.pose.codec import PoseOutput, decode, joint_scores
from rlepose.pose.frames import Frames
from rlepose.pose.skeleton import COCO, H36M
from tests.predicting import without_network
from tests.training.authors_steps import OPTIMIZERS, Reference, Replay, Space, initial_state, network_input, replay


class Run(NamedTuple):
    """Our steps and the authors': `theirs` without the 1e-9 in their formulas, `as_published` with it."""

    space: Space
    ours: Replay
    theirs: Reference
    as_published: Reference


@pytest.fixture(scope="module")
def authors(reference_folder: Path) -> Reference:
    with np.load(reference_folder / "authors_steps.npz") as file:
        return dict(file)


RUNS = [(space, optimizer) for space in ("2d", "3d") for optimizer in OPTIMIZERS]


@pytest.fixture(scope="module", params=RUNS, ids="-".join)
def run(request: pytest.FixtureRequest, authors: Reference, tmp_path_factory: pytest.TempPathFactory) -> Run:
    space, optimizer = request.param

    def part(name: str) -> Reference:
        prefix = f"{space}/{name}/"
        return {key.removeprefix(prefix): value for key, value in authors.items() if key.startswith(prefix)}

    ours = replay(authors, space, optimizer, tmp_path_factory.mktemp("steps"))
    return Run(space, ours, part(f"{optimizer}_exact"), part(optimizer))


@pytest.mark.parametrize("space", ["2d", "3d"])
def test_the_initial_weights_follow_from_the_formula(authors: Reference, space: Space) -> None:
    norms = [value.norm() for value in initial_state(authors, space).values()]
    expected = authors[f"{space}/initial_norm"]
    assert_allclose(norms[: len(expected)], expected, rtol=1e-12)


@pytest.mark.parametrize("space", ["2d", "3d"])
def test_a_converted_network_normalises_pixels_as_the_authors_do(authors: Reference, space: Space) -> None:
    pictures = torch.from_numpy(authors[f"{space}/images"][0]).permute(0, 3, 1, 2)
    converted = from_official(initial_state(authors, space))
    model = network_of(config_of(converted, "converted", pictures.shape[2:]), converted.joints, pretrained=False).eval()
    seen: list[NDArray] = []
    model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].numpy()))
    model(pictures)
    assert_allclose(seen[0][0, :, ::9, ::9], authors[f"{space}/pixels_of_first"], atol=1e-6)
    assert_allclose(seen[0], network_input(authors, space)[0], atol=1e-6)


def test_losses_are_the_authors(run: Run) -> None:
    assert_allclose(run.ours.losses[:10], run.theirs["loss"][:10], rtol=1e-12)
    assert_allclose(run.ours.losses[10:], run.theirs["loss"][10:], rtol=1e-9)


def test_losses_stay_near_those_of_the_authors_code_as_published(run: Run) -> None:
    assert_allclose(run.ours.losses[:10], run.as_published["loss"][:10], rtol=1e-7)


def test_gradients_of_each_tensor_are_the_authors_before_clipping_and_after(run: Run) -> None:
    expected = run.theirs["gradient_norm"]
    assert_allclose(run.ours.gradient_norms[: len(expected)], expected, rtol=1e-9)
    clipped = run.theirs.get("clipped_gradient_norm", expected)  # the 2-D config does not clip
    assert_allclose(run.ours.clipped_norms[: len(clipped)], clipped, rtol=1e-9)


def test_each_tensor_moves_as_far_as_the_authors(run: Run) -> None:
    assert_allclose(run.ours.weight_norms, run.theirs["weight_norm"], rtol=1e-11)
    assert_allclose(run.ours.change_norms, run.theirs["change_norm"], rtol=1e-9)


def test_single_numbers_of_gradients_and_weights_are_the_authors(run: Run) -> None:
    names = run.ours.weights[0].keys()
    assert len(names) in (4, 5)
    for name in names:
        assert_allclose(run.ours.gradients[0][name], run.theirs[f"gradient/{name}"], rtol=1e-9, atol=1e-12)
        values = torch.stack([weights[name] for weights in run.ours.weights])
        assert_allclose(values, run.theirs[f"value/{name}"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("when", ["before", "after"])
def test_predictions_are_the_authors(run: Run, when: str) -> None:
    output: PoseOutput = getattr(run.ours, when)
    assert output.sigma is not None
    mu, sigma, score = (run.theirs[f"{when}/{name}"] for name in ("mu", "sigma", "score"))
    crops = Frames(np.eye(2, 3)[None].repeat(len(mu), axis=0), np.array([48.0, 64.0]))
    # Px and mm. The root's depth is taken off the others, as the authors do.
    in_space = Config(data=DataConfig(format="h36m"), loss=RLEConfig(root_depth=True))
    model = without_network(in_space, H36M) if run.space == "3d" else without_network(Config(), COCO)
    keypoints, _ = model.in_picture(output.mu.numpy(), None, crops)
    assert_allclose(keypoints, decode(mu, None, crops)[0], atol=1e-8)
    assert_allclose(output.sigma, sigma, rtol=1e-10)
    assert_allclose(joint_scores(output), score[..., 0], rtol=1e-6)  # they round it to float32
