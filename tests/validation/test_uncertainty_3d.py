"""Uncertainty in space: an honest sigma is found honest, in mm, whether it is of crops or of lifted poses."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.evaluation.calibration import Compared
from rlepose.inference import Lifter
from rlepose.jobs.recalibrate import recalibrate_checkpoint
from rlepose.jobs.train import train
from rlepose.jobs.validate import validate_checkpoint
from rlepose.losses import Criterion, Gaussian
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import H36M, H36M_ROOT
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.checkpoint_file import card_path
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.trained_lifter import TrainedLifter
from rlepose.validation.uncertainty import judge_uncertainty
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation
from tests.predicting import poses_of
from tests.validation.test_lifting_source import SIGMA, Oracle

ALONE = Ranks(0, 1, torch.device("cpu"))
MM = 2000 * SIGMA  # what the oracles claim
ENTROPY = 1.5 * (1 + math.log(2 * math.pi)) + 3 * math.log(MM)  # nats, of a normal density a cubic mm


def lifted(validation: Validation[Any], config: Config, scatter: float = 1.0) -> Poses:
    """Labels that scatter by so many sigmas in each coordinate."""
    oracle = Oracle(validation)
    generator = torch.Generator().manual_seed(0)
    for key, answer in oracle.answers.items():
        oracle.answers[key] = answer + scatter * SIGMA * torch.randn(answer.shape, generator=generator)
    return validation.source.predict(TrainedLifter(oracle, Criterion([Gaussian(3)]), config, torch.device("cpu")))


def seen(validation: Validation[Any], scatter: float = 1.0) -> Poses:
    """The same in pictures: 100 mm at the depth of the root, in pixels, and in depth."""
    table = validation.evaluator.labels
    truth = np.concatenate([table.keypoints, table.depth[..., None]], axis=-1)
    px = MM * table.focal / table.root_depth[:, None]
    sigma = np.broadcast_to(np.pad(px, ((0, 0), (0, 1)), constant_values=MM)[:, None], truth.shape)
    keypoints = truth + scatter * sigma * np.random.default_rng(0).normal(size=truth.shape)
    keypoints[:, H36M_ROOT, 2] = 0
    return poses_of(table, keypoints, np.ones(truth.shape[:2]), sigma)


@pytest.fixture(params=["lifting", "pictures"])
def judged(
    request: pytest.FixtureRequest, lifting_config: Callable[..., Config], tiny_3d_config: Callable[..., Config]
) -> tuple[Validation[Any], Callable[[float], Poses]]:
    if request.param == "lifting":
        config = lifting_config("eval.flip_test=false")
        validation = build_validation(config, "gt", ALONE)
        return validation, lambda scatter: lifted(validation, config, scatter)
    validation = build_validation(tiny_3d_config(), "gt", ALONE)
    return validation, lambda scatter: seen(validation, scatter)


def test_an_honest_sigma_has_the_entropy_of_its_density(
    judged: tuple[Validation[Any], Callable[[float], Poses]],
) -> None:
    validation, poses = judged
    _, report = judge_uncertainty(validation.evaluator, poses(1), Gaussian(3))
    overall = report["overall"]
    assert overall["NLL"] == pytest.approx(ENTROPY, abs=0.1)
    assert overall["calibration_error"] < 0.03
    assert overall["sharpness"] == pytest.approx(MM * math.sqrt(3), rel=1e-3)
    assert overall["error"] == pytest.approx(MM * math.sqrt(2.366), rel=0.05)  # median of a chi-squared of 3
    # Equal confidences say nothing of the error: the risk is that of leaving anybody out.
    assert overall["pearson_confidence_MPJPE"] is None
    assert overall["AURC"] == pytest.approx(overall["risk"]) and overall["AURC_best"] < overall["AURC"]
    metrics, _ = validation.evaluator.evaluate(poses(1))
    assert overall["risk"] == pytest.approx(metrics["MPJPE"])


@pytest.mark.parametrize("scatter", [0.5, 2.0])
def test_a_sigma_that_is_too_large_or_too_small_is_found_out(
    judged: tuple[Validation[Any], Callable[[float], Poses]], scatter: float
) -> None:
    validation, poses = judged
    _, report = judge_uncertainty(validation.evaluator, poses(scatter), Gaussian(3))
    assert report["overall"]["calibration_error"] > 0.2
    # Of a normal density that claims MM: its normaliser, and half the squared residuals.
    expected = 1.5 * math.log(2 * math.pi) + 3 * math.log(MM) + 1.5 * scatter**2
    assert report["overall"]["NLL"] == pytest.approx(expected, abs=0.3)


def test_the_root_is_not_judged(judged: tuple[Validation[Any], Callable[[float], Poses]]) -> None:
    validation, poses = judged
    _, report = judge_uncertainty(validation.evaluator, poses(1), Gaussian(3))
    assert H36M.names[H36M_ROOT] not in report["joints"] and len(report["joints"]) in (16, 17)
    assert {"Head", "R_Wrist"} <= report["joints"].keys()


def test_a_network_unit_is_2000_mm_of_a_lifted_pose_and_a_crop_of_a_picture(
    judged: tuple[Validation[Any], Callable[[float], Poses]],
) -> None:
    validation, make = judged
    poses = make(1)
    compared: Compared = validation.evaluator.compared(poses, poses.valid)
    np.testing.assert_allclose(compared.unit[..., 2], 2000)
    if "Lifting" in type(validation.evaluator).__name__:
        np.testing.assert_allclose(compared.unit, 2000, rtol=1e-5)
        np.testing.assert_allclose(compared.sigma / compared.unit, SIGMA, rtol=1e-5)
    else:
        table = validation.evaluator.labels
        mm = poses.frame_wh * table.root_depth[:, None] / table.focal
        np.testing.assert_allclose(compared.unit[:, 0, :2], mm, rtol=1e-5)


@pytest.fixture
def trained(lifting_config: Callable[..., Config]) -> Path:
    config = lifting_config("train.epochs=4", "train.validate_every=4", "eval.pictures=0")
    train(config, ALONE)
    return Experiment.of(config).best


def test_calibration_of_lifting_is_written_and_stands_on_the_card(trained: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(trained)
    metrics = validate_checkpoint(trained, checkpoint.config, checkpoint, ["gt"], tmp_path, ALONE, calibration=True)
    assert {"NLL", "AURC", "pearson_sigma_error", "spearman_confidence_MPJPE", "MPJPE/Lying"} <= metrics.keys()
    report = json.loads((tmp_path / "calibration.json").read_text())
    assert report["overall"]["NLL"] == metrics["NLL"] and len(report["joints"]) == 16
    for name in ("reliability", "risk_coverage", "density"):
        assert (tmp_path / f"{name}.png").stat().st_size > 0
    card = card_path(trained).read_text(encoding="utf-8")
    assert f"| NLL | {metrics['NLL']:.4f} |" in card and "| AURC |" in card


@pytest.mark.parametrize("method", ["scale", "joint_scale", "isotonic"])
def test_a_recalibrated_lifting_checkpoint_gives_other_sigmas_everywhere(
    trained: Path, tmp_path: Path, method: str
) -> None:
    before, to = load_checkpoint(trained), tmp_path / "new.pt"
    numbers = recalibrate_checkpoint(trained, before.config, before, method, to, tmp_path, ALONE)
    assert numbers["after"]["NLL"] < numbers["before"]["NLL"]
    correction = load_checkpoint(to).recalibration
    assert correction is not None
    if method == "isotonic":
        return
    keypoints = np.random.default_rng(0).uniform(300, 700, (5, 17, 2))
    (joints, std), (same, corrected) = (Lifter(path).predict(keypoints, 1147, (514, 507)) for path in (trained, to))
    np.testing.assert_array_equal(same, joints)
    factors = np.broadcast_to(np.array(correction.scale), 16)
    np.testing.assert_allclose(corrected[:, 1:], std[:, 1:] * factors[:, None], rtol=1e-5)


def test_a_correction_of_lifting_is_fitted_on_other_subjects(
    trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    checkpoint, to = load_checkpoint(trained), tmp_path / "new.pt"
    data = checkpoint.config.data
    others = (data.train_annotations, data.train_images)
    recalibrate_checkpoint(trained, checkpoint.config, checkpoint, "scale", to, tmp_path, ALONE, others)
    assert "fitted on 160 persons" in caplog.text and "evaluated on 64 others" in caplog.text


def test_pictures_in_space_are_recalibrated_joint_by_joint(
    tiny_3d_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny_3d_config("loss={name: laplace}", "eval.pictures=0")
    train(config, ALONE)
    path = Experiment.of(config).best
    checkpoint = load_checkpoint(path)
    numbers = recalibrate_checkpoint(path, config, checkpoint, "joint_scale", tmp_path / "new.pt", tmp_path, ALONE)
    assert numbers["after"]["NLL"] < numbers["before"]["NLL"]
    scale = load_checkpoint(tmp_path / "new.pt").recalibration.scale
    assert len(scale) == 18 and scale[H36M_ROOT] == 1  # the root is not judged, and keeps its sigma
    validate_checkpoint(tmp_path / "new.pt", config, load_checkpoint(tmp_path / "new.pt"), ["gt"], tmp_path, ALONE)


def test_a_loss_without_sigma_gets_one_by_recalibration(lifting_config: Callable[..., Config], tmp_path: Path) -> None:
    config = lifting_config("loss.name=l1", "eval.pictures=0")
    train(config, ALONE)
    path = Experiment.of(config).best
    checkpoint = load_checkpoint(path)
    numbers = recalibrate_checkpoint(path, config, checkpoint, "scale", tmp_path / "new.pt", tmp_path, ALONE)
    assert numbers["after"]["NLL"] < numbers["before"]["NLL"]
    _, std = Lifter(tmp_path / "new.pt").predict(np.full((1, 17, 2), 500.0), 1147, (514, 507))
    assert std is not None and 10 < std[0, 3, 0] < 1000
