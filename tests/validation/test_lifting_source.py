"""Lifted poses of a table: where they are in the picture, in space, and in files and drawings."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.lifting_codec import labelled_inputs, mirror_inputs, mirror_joints, targets_of
from rlepose.losses import Criterion, Gaussian
from rlepose.models.lifting_net import LiftingNet
from rlepose.pose.codec import PoseOutput
from rlepose.pose.skeleton import H36M_ROOT
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.trained_lifter import TrainedLifter
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation

ALONE = Ranks(0, 1, torch.device("cpu"))
SIGMA = 0.05  # 100 mm


class Oracle(torch.nn.Module):
    """Answers with the labels, moved by `error` (3,) mm; it recognises inputs by their bytes."""

    def __init__(self, validation: Validation, error: tuple[float, float, float] = (0, 0, 0)) -> None:
        super().__init__()
        table = validation.source.table
        answers = targets_of(table.joints_mm()) + torch.tensor(error) / 2000
        inputs = labelled_inputs(table)
        self.answers = {row.numpy().tobytes(): answer for row, answer in zip(inputs, answers, strict=True)}
        self.sizes: list[int] = []

    def forward(self, inputs: torch.Tensor) -> PoseOutput:
        self.sizes.append(len(inputs))
        mu = torch.stack([self.answers[row.numpy().tobytes()] for row in inputs])
        return PoseOutput(mu, torch.full_like(mu, SIGMA))


def trained(network: torch.nn.Module, config: Config) -> TrainedLifter:
    return TrainedLifter(network, Criterion([Gaussian(3)]), config, torch.device("cpu"))


@pytest.fixture
def config(lifting_config: Callable[..., Config]) -> Config:
    return lifting_config("eval.flip_test=false")


@pytest.fixture
def validation(config: Config) -> Validation:
    return build_validation(config, "gt", ALONE)


def test_the_truth_is_0_mm_off_and_comes_out_where_it_is_in_the_picture(validation: Validation, config: Config) -> None:
    metrics, results, poses = validation.run(trained(Oracle(validation), config))
    assert metrics["MPJPE"] == pytest.approx(0, abs=1e-3) and metrics["PCK3D"] == 1
    assert {"MPJPE/Walking", "PA_MPJPE/Lying", "AUC/Sitting", "PCK3D/Reaching"} <= metrics.keys()
    np.testing.assert_allclose(poses.keypoints[..., :2], validation.table.keypoints[:, :17], atol=1e-3)
    np.testing.assert_allclose(
        [one["keypoints_cam"] for one in results], validation.table.joints_mm()[:, :17], atol=0.02
    )


def test_joints_off_by_a_length_in_space_are_off_by_that(validation: Validation, config: Config) -> None:
    metrics, _, _ = validation.run(trained(Oracle(validation, (30, 0, 40)), config))
    assert metrics["MPJPE"] == pytest.approx(50 * 16 / 17, abs=0.01)  # the root is never off


def test_sigma_is_in_pixels_and_mm_and_the_root_is_sure(validation: Validation, config: Config) -> None:
    poses = validation.source.predict(trained(Oracle(validation), config))
    table = validation.table
    assert poses.sigma is not None
    np.testing.assert_allclose(poses.sigma[:, 1:, 2], 100, rtol=1e-5)
    expected = 100 * table.focal / table.root_depth[:, None]
    np.testing.assert_allclose(poses.sigma[:, 5, :2], expected, rtol=1e-5)
    assert not poses.sigma[:, H36M_ROOT].any()


def test_batches_are_of_the_size_that_is_asked_for_and_only_so_many(validation: Validation, config: Config) -> None:
    oracle = Oracle(validation)
    assert validation.source.predict(trained(oracle, config)).valid.all()
    assert oracle.sizes == [24, 24, 16]
    poses = validation.source.predict(trained(oracle, config), batches=2)
    assert poses.valid.sum() == 48
    metrics, _ = validation.evaluator.evaluate(poses)
    assert metrics["MPJPE"] == pytest.approx(0, abs=1e-3)


@dataclasses.dataclass(frozen=True)
class OfTwo(Ranks):
    """One of two ranks, who runs after those whose values are in `gathered`."""

    gathered: list[Any]

    def gather(self, value: Any) -> list[Any]:
        self.gathered.append(value)
        return self.gathered


def test_the_ranks_share_the_persons(validation: Validation, config: Config) -> None:
    whole = validation.source.predict(trained(Oracle(validation), config))
    gathered: list[Any] = []
    for rank in (0, 1):
        half = build_validation(config, "gt", OfTwo(rank, 2, torch.device("cpu"), gathered))
        oracle = Oracle(validation)
        poses = half.source.predict(trained(oracle, config))
        assert oracle.sizes == [24, 8]
    assert poses.valid.all()
    np.testing.assert_array_equal(poses.keypoints, whole.keypoints)


def test_poses_are_written_and_drawn_without_pictures(validation: Validation, config: Config, tmp_path: Path) -> None:
    model = trained(Oracle(validation, (100, 0, 0)), config)
    _, results, poses = validation.run(model)
    validation.evaluator.write(tmp_path, results)
    (first, *_) = json.loads((tmp_path / "keypoints_gt.json").read_text())
    assert np.shape(first["keypoints_cam"]) == (17, 3) and np.shape(first["keypoints"]) == (17, 2)
    picture = validation.evaluator.pictures(poses, model.spread, 2)
    assert picture is not None and picture.shape == (3 * 240, 4 * 240, 3)
    bare = validation.evaluator.pictures(dataclasses.replace(poses, sigma=None), model.spread, 2)
    changed = (picture != bare).any(axis=2)
    truth = np.zeros_like(changed)
    truth[:, :240], truth[:, 480:720] = True, True  # the left column of each of both persons
    assert changed[~truth].any() and not changed[truth].any()  # ellipses around the prediction alone
    assert validation.evaluator.title(0, poses) == "predicted, 94 mm off"


def test_the_mean_with_the_mirrored_pose_is_the_same_for_both(
    lifting_config: Callable[..., Config], validation: Validation
) -> None:
    inputs = labelled_inputs(validation.table)
    network = LiftingNet(34, 16, width=16)
    torch.nn.init.normal_(network.coordinates.weight)
    averaging = trained(network, lifting_config())
    straight, mirrored = averaging.predict(inputs), averaging.predict(mirror_inputs(inputs))
    torch.testing.assert_close(mirror_joints(mirrored.mu), straight.mu, atol=1e-6, rtol=1e-5)
    alone = trained(network, lifting_config("eval.flip_test=false")).predict(inputs)
    assert (alone.mu - straight.mu).abs().max() > 0.01
