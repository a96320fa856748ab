"""Joints in space of 2-D poses that somebody has: those of the validation, and errors for what is no pose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.persons3d import Person3DTable
from rlepose.errors import InputError
from rlepose.inference import Lifter, Predictor
from rlepose.jobs.train import build_trainer
from rlepose.pose.codec import PoseOutput
from rlepose.pose.skeleton import H36M_ROOT
from rlepose.runtime.checkpoint_file import write_tree
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment

ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.fixture
def untrained(lifting_config: Callable[..., Config]) -> Callable[..., tuple[Path, Any]]:
    """untrained('loss.name=l1') -> a checkpoint with random weights whose output varies, and its task."""

    def make(*overrides: str) -> tuple[Path, Any]:
        config = lifting_config(*overrides)
        trainer = build_trainer(config, ALONE)
        step = trainer.task.step
        for layer in (step.model.coordinates, step.model.scales):
            if layer is not None:
                torch.nn.init.normal_(layer.weight, std=0.05)
        for likelihood in step.criterion.likelihoods:
            for parameter in likelihood.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
        path = Experiment.of(config).best
        write_tree(path, trainer.tree())
        return path, trainer.task

    return make


@pytest.mark.parametrize("loss", ["laplace", "dle, flow: {depth: 2, width: 8}"])
def test_the_lifter_gives_what_the_validation_sees(untrained: Callable[..., tuple[Path, Any]], loss: str) -> None:
    path, task = untrained(f"loss={{name: {loss}}}")
    table: Person3DTable = task.validation.table
    joints, std = Lifter(path, device="cpu").predict(table.keypoints[:, :17], table.focal, table.principal)
    trained = task.trained(task.step.model, task.step.criterion)
    poses = task.validation.source.predict(trained)
    in_camera = table.in_space(poses.keypoints[..., :2], poses.keypoints[..., 2])
    np.testing.assert_allclose(joints, in_camera - in_camera[:, [H36M_ROOT]], atol=1e-3)
    assert np.abs(joints[:, 1:]).mean() > 10
    assert std is not None and poses.sigma is not None and std.shape == joints.shape == (64, 17, 3)
    mm_a_px = table.root_depth[:, None] / table.focal
    expected = poses.sigma * np.pad(mm_a_px, ((0, 0), (0, 1)), constant_values=1)[:, None] * trained.spread
    np.testing.assert_allclose(std, expected, rtol=1e-4)
    assert not joints[:, H36M_ROOT].any() and not std[:, H36M_ROOT].any() and (std[:, 1:] > 0).all()


def test_std_is_the_standard_deviation_of_the_losss_density(untrained: Callable[..., tuple[Path, Any]]) -> None:
    path, task = untrained()
    table = task.validation.table
    _, std = Lifter(path, "cpu", ["eval.flip_test=false"]).predict(
        table.keypoints[:, :17], table.focal, table.principal
    )
    with torch.no_grad():
        sigma = task.step.model.eval()(task.validation.source._inputs).sigma
    assert std is not None  # Laplace's is √2 sigma
    np.testing.assert_allclose(std[:, 1], 2000 * np.sqrt(2) * sigma[:, 0].numpy(), rtol=1e-4)


def test_a_loss_without_sigma_gives_no_std(untrained: Callable[..., tuple[Path, Any]]) -> None:
    path, _ = untrained("loss.name=l1")
    joints, std = Lifter(path, device="cpu").predict(np.ones((3, 17, 2)), 1000, (500, 500))
    assert joints.shape == (3, 17, 3) and std is None


def test_a_sigma_that_is_rounded_to_0_stays_above_it(untrained: Callable[..., tuple[Path, Any]]) -> None:
    _, task = untrained()
    trained = task.trained(task.step.model, task.step.criterion)
    _, sigma = trained.in_space(PoseOutput(torch.zeros(2, 16, 3), torch.zeros(2, 16, 3)))
    assert (sigma[:, 1:] > 0).all()


def test_one_camera_serves_all_poses_and_none_is_no_error(untrained: Callable[..., tuple[Path, Any]]) -> None:
    lifter = Lifter(untrained()[0], device="cpu")
    keypoints = np.random.default_rng(0).normal(500, 100, (5, 17, 2))
    one, _ = lifter.predict(keypoints, 1000, (500, 510))
    each, _ = lifter.predict(keypoints, np.full((5, 2), 1000), np.tile([500, 510], (5, 1)))
    assert np.array_equal(one, each)
    other, _ = lifter.predict(keypoints, (1000, 1100), (500, 510))
    assert not np.allclose(one, other)
    none, std = lifter.predict(np.zeros((0, 17, 2)), 1000, (500, 510))
    assert none.shape == (0, 17, 3) and std is not None and std.shape == (0, 17, 3)


@pytest.mark.parametrize(
    ("keypoints", "focal", "principal", "message"),
    [
        (np.zeros((17, 2)), 1000, (1, 1), r"keypoints: expected \(N, 17, 2\) px, got shape \(17, 2\)"),
        (np.zeros((1, 18, 2)), 1000, (1, 1), r"keypoints: expected \(N, 17, 2\) px, got shape \(1, 18, 2\)"),
        (np.full((1, 17, 2), np.nan), 1000, (1, 1), "keypoints: expected finite numbers"),
        ([["a"]], 1000, (1, 1), "keypoints: expected numbers in px, got list"),
        (np.zeros((1, 17, 2)), 0, (1, 1), "focal: expected focal lengths above 0 px, got 0"),
        (np.zeros((3, 17, 2)), np.ones((2, 2)), (1, 1), r"focal: expected \(2,\) px, .* got shape \(2, 2\)"),
        (np.zeros((1, 17, 2)), 1000, (1, 1, 1), r"principal: expected \(2,\) px, .* got shape \(3,\)"),
    ],
)
def test_what_is_no_pose_or_camera_is_refused(
    untrained: Callable[..., tuple[Path, Any]], keypoints: Any, focal: Any, principal: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Lifter(untrained()[0], device="cpu").predict(keypoints, focal, principal)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("checkpoint", None, "checkpoint: expected the path of a file that training wrote, got None"),
        ("overrides", "eval.flip_test=false", "overrides: expected a list of 'section.key=value', got 'eval.flip"),
        ("overrides", [None], "overrides: expected a list of 'section.key=value'"),
        ("device", 3, "expected one of auto, cuda, cpu, got 3"),
    ],
)
def test_arguments_of_another_type_are_refused(
    untrained: Callable[..., tuple[Path, Any]], argument: str, value: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Lifter(**{"checkpoint": untrained()[0], "device": "cpu", argument: value})


def test_a_checkpoint_of_another_task_is_refused_by_either(
    untrained: Callable[..., tuple[Path, Any]], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"model\.name: top_down does not lift 2-D poses"):
        Lifter(checkpoint(), device="cpu")
    with pytest.raises(InputError, match=r"model\.name: lifting reads no pictures"):
        Predictor(untrained()[0], device="cpu")
    (tmp_path / "lifting.pt").write_text("no")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        Lifter(tmp_path / "lifting.pt")
    with pytest.raises(InputError, match="no such checkpoint"):
        Lifter(tmp_path / "missing.pt")
