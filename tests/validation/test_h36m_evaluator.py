"""Validation in space: the truth is 0 mm off, known errors are what they are, and files and pictures are written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.errors import InputError
from rlepose.losses import build_criterion
from rlepose.losses.options import RLEConfig
from rlepose.pose.codec import DEPTH_UNIT_MM, PoseOutput
from rlepose.pose.skeleton import H36M_ROOT
from rlepose.validation.h36m_evaluator import H36MEvaluator
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation
from tests.predicting import as_trained, poses_of, reordered
from tests.training.running import ALONE

CRITERION = build_criterion(RLEConfig(), 18, dims=3)


class Oracle(torch.nn.Module):
    """Answers with the labels, moved by `error`: it recognises crops by their bytes, mirrored ones too."""

    def __init__(self, validation: Validation, error: tuple[float, float, float] = (0, 0, 0)) -> None:
        super().__init__()
        dataset = validation.source.dataset
        permutation, width = list(dataset.skeleton.flip_permutation), dataset.input_size_hw[1]
        self.answers: dict[bytes, torch.Tensor] = {}
        for person in range(len(dataset)):
            item = dataset[0, person]
            moved = torch.full((18, 1), 1.0)
            moved[H36M_ROOT] = 0
            mu = item["target"] + moved * torch.tensor(error)
            self.answers[item["image"].numpy().tobytes()] = mu
            mirrored = mu[permutation] * torch.tensor([-1.0, 1, 1]) - torch.tensor([1 / width, 0, 0])
            self.answers[item["image"].flip(-1).numpy().tobytes()] = mirrored

    def forward(self, image: torch.Tensor) -> PoseOutput:
        mu = torch.stack([self.answers[one.numpy().tobytes()] for one in image])
        return PoseOutput(mu, torch.full_like(mu, 0.05))


@pytest.fixture
def validation(tiny_3d_config: Callable[..., Config]) -> Validation:
    # Every joint within its crop: the oracle knows no others.
    return build_validation(tiny_3d_config("data.box_scale=2"), "gt", ALONE)


@pytest.mark.parametrize("flip_test", ["true", "false"])
def test_the_truth_is_0_mm_off(tiny_3d_config: Callable[..., Config], flip_test: str) -> None:
    validation = build_validation(tiny_3d_config("data.box_scale=2", f"eval.flip_test={flip_test}"), "gt", ALONE)
    metrics, results, _ = validation.run(as_trained(Oracle(validation), CRITERION, validation))
    assert metrics["MPJPE"] == pytest.approx(0, abs=0.1) and metrics["PCK3D"] == 1
    assert {"MPJPE/Walking", "PA_MPJPE/Lying", "AUC/Sitting", "PCK3D/Reaching"} <= metrics.keys()
    assert results is not None and len(results) == 64
    error = np.array([one["keypoints_cam"] for one in results]) - validation.table.joints_mm()
    assert np.abs(error).max() < 0.2


def test_joints_too_far_by_100_mm_are_off_by_that_and_a_little_for_the_perspective(validation: Validation) -> None:
    metrics, _, _ = validation.run(as_trained(Oracle(validation, (0, 0, 100 / DEPTH_UNIT_MM)), CRITERION, validation))
    assert 100 * 16 / 17 < metrics["MPJPE"] < 104  # the root is never off


def test_sigma_is_in_pixels_and_mm_and_the_roots_depth_is_sure(validation: Validation) -> None:
    poses = validation.source.predict(as_trained(Oracle(validation), CRITERION, validation))
    assert poses.sigma is not None
    np.testing.assert_allclose(poses.sigma[:, 1:, 2], 100, rtol=1e-5)
    np.testing.assert_allclose(poses.sigma[:, 3, 0], 0.05 * validation.source.dataset.scale[:, 0], rtol=1e-5)
    assert (poses.sigma[:, H36M_ROOT, 2] == 0).all() and (poses.keypoints[:, H36M_ROOT, 2] == 0).all()


def test_a_lower_error_is_better() -> None:
    evaluator = H36MEvaluator.__new__(H36MEvaluator)
    cases = [(30.0, None), (30.0, 40.0), (40.0, 30.0), (None, 30.0)]
    assert [evaluator.better("MPJPE", *case) for case in cases] == [True, True, False, False]
    assert [evaluator.better("PCK3D", *case) for case in cases] == [True, False, True, False]


def test_poses_are_written_and_drawn(validation: Validation, tmp_path: Path) -> None:
    model = as_trained(Oracle(validation), CRITERION, validation)
    _, results, poses = validation.run(model)
    assert results is not None
    validation.evaluator.write(tmp_path, results)
    (first, *_) = json.loads((tmp_path / "keypoints_gt.json").read_text())
    assert np.shape(first["keypoints_cam"]) == (18, 3) and np.shape(first["keypoints"]) == (18, 2)
    picture = validation.evaluator.pictures(poses, model.spread, 2)
    assert picture is not None and picture.shape == (320 + 2 * 240, 4 * 240, 3)
    for tile in (picture[380:560, 240:480], picture[620:800, 720:960]):  # from the side, and the next from above
        assert len(np.unique(tile.reshape(-1, 3), axis=0)) > 3  # something is drawn


def test_the_table_has_a_row_an_action_and_one_for_all(validation: Validation) -> None:
    metrics, _, _ = validation.run(as_trained(Oracle(validation), CRITERION, validation))
    rows = [line.split()[0] for line in validation.evaluator.format_table(metrics).splitlines()]
    assert rows == ["MPJPE", "Lying", "Reaching", "Sitting", "Walking", "all"]
    assert tuple(range(17)) == METRIC_JOINTS


def test_boxes_of_a_detector_are_refused(tiny_3d_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"--boxes: boxes\.json: not supported in 3-D"):
        build_validation(tiny_3d_config(), "boxes.json", ALONE)


def test_poses_in_any_order_are_compared_with_the_labels_of_their_persons(validation: Validation) -> None:
    table = validation.table
    error = np.random.default_rng(0).normal(0, 5, (*table.visible.shape, 3))
    keypoints = np.concatenate([table.keypoints, table.depth[..., None]], axis=-1) + error
    poses = poses_of(table, keypoints, np.ones(table.visible.shape))
    order = np.random.default_rng(1).permutation(len(table))
    others = reordered(poses, order)
    metrics, results = validation.evaluator.evaluate(poses)
    found, found_results = validation.evaluator.evaluate(others)
    assert found == pytest.approx(metrics) and metrics["MPJPE"] > 1
    assert found_results == [results[row] for row in order]
    titles = [validation.evaluator.title(*which) for which in ((0, others), (int(order[0]), poses))]
    assert titles[0] == titles[1]
