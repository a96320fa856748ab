"""Judging and correcting the uncertainty of a trained checkpoint."""

import dataclasses
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.evaluation.recalibration import Recalibration
from rlepose.jobs.recalibrate import recalibrate_checkpoint
from rlepose.jobs.train import train
from rlepose.jobs.validate import validate_checkpoint, validation_of
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.trained_model import open_checkpoint
from rlepose.validation.uncertainty import CALIBRATION_METRICS, judge_uncertainty
from rlepose.validation.validations import build_validation
from tests.predicting import reordered, without_network
from tests.training.running import experiment_of
from tests.validation.test_category_groups import near_the_labels

ALONE = Ranks(0, 1, torch.device("cpu"))


def trained(config: Config) -> Path:
    train(config, ALONE)
    return experiment_of(config).last


@pytest.mark.parametrize("loss", ["{name: rle}", "{name: l1}"])
def test_a_recalibrated_checkpoint_gives_other_sigmas_and_the_same_poses_and_scores(
    tiny_config: Callable[..., Config], tmp_path: Path, loss: str
) -> None:
    config = tiny_config("train.epochs=1", f"loss={loss}")
    path = trained(config)
    before = load_checkpoint(path)
    before = dataclasses.replace(before, spread=None)  # as earlier versions wrote it
    numbers = recalibrate_checkpoint(path, config, before, "scale", tmp_path / "new.pt", tmp_path / "out", ALONE)
    assert (tmp_path / "out" / "recalibration.png").stat().st_size > 0
    after = load_checkpoint(tmp_path / "new.pt")
    factor = after.recalibration.scale[0]
    assert load_checkpoint(path).recalibration is None
    assert numbers["after"]["NLL"] < numbers["before"]["NLL"]

    source = validation_of(path, config, before, "gt", ALONE).source
    models = [open_checkpoint(path, config, checkpoint, ALONE.device) for checkpoint in (before, after)]
    old_poses, new_poses = map(source.predict, models)
    assert after.spread is not None
    np.testing.assert_array_equal(after.spread.numpy(), models[0].spread)
    np.testing.assert_array_equal(new_poses.keypoints, old_poses.keypoints)
    np.testing.assert_array_equal(new_poses.joint_scores, old_poses.joint_scores)
    expected = source.dataset.scale[:, None] if old_poses.sigma is None else old_poses.sigma
    np.testing.assert_allclose(new_poses.sigma, np.broadcast_to(expected * factor, new_poses.sigma.shape), rtol=1e-6)


def test_calibration_is_written_beside_the_other_results(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny_config("train.epochs=1")
    path = trained(config)
    metrics = validate_checkpoint(path, config, load_checkpoint(path), ["gt"], tmp_path, ALONE, calibration=True)
    in_2d = {f"gt/{name}" for name in CALIBRATION_METRICS if not name.endswith("MPJPE")}
    assert in_2d <= metrics.keys() and not any("confidence_MPJPE" in name for name in metrics)
    report = json.loads((tmp_path / "calibration.json").read_text())
    assert len(report["joints"]) == 17
    assert report["overall"]["NLL"] == metrics["gt/NLL"]
    for name in ("reliability", "risk_coverage", "density"):
        assert (tmp_path / f"{name}.png").stat().st_size > 0


def test_calibration_in_detected_boxes_alone_is_refused(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    with pytest.raises(InputError, match=r"--calibration: .* not boxes of found\.json; remove --boxes"):
        validate_checkpoint(path, loaded.config, loaded, ["found.json"], tmp_path, ALONE, calibration=True)


def test_the_basic_design_has_nothing_to_calibrate(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny_config("train.epochs=1", "loss.name=basic")
    path = trained(config)
    with pytest.raises(InputError, match=r"loss\.name: basic has no density of the residual"):
        validate_checkpoint(path, config, load_checkpoint(path), ["gt"], tmp_path, ALONE, calibration=True)


def test_a_correction_that_does_harm_is_warned_of(
    tiny_config: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = tiny_config("train.epochs=1")
    path = trained(config)
    absurd = Recalibration("scale", (1000.0,))
    monkeypatch.setattr("rlepose.jobs.recalibrate.fit_recalibration", lambda *_: absurd)
    recalibrate_checkpoint(path, config, load_checkpoint(path), "scale", tmp_path / "new.pt", tmp_path, ALONE)
    assert "the correction does not improve the other persons" in caplog.text


def test_what_cannot_be_recalibrated_is_refused_before_predicting(
    tiny_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config("train.epochs=1", "loss.name=l1")
    path = trained(config)
    monkeypatch.setattr("rlepose.validation.pose_source.TableSource.predict", lambda *_: pytest.fail("predicted first"))
    with pytest.raises(InputError, match=r"--method isotonic: .*last\.pt has no learned sigma \(loss l1\)"):
        recalibrate_checkpoint(path, config, load_checkpoint(path), "isotonic", path, tmp_path, ALONE)


def test_poses_in_any_order_have_the_same_uncertainty(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config()
    validation = build_validation(config, "gt", ALONE)
    rng, poses = np.random.default_rng(0), near_the_labels(validation)
    poses = replace(poses, sigma=rng.uniform(1, 5, poses.keypoints.shape))
    others, chosen = reordered(poses, rng.permutation(len(poses))), poses.person_ids[::2]
    likelihood = without_network(config, validation.evaluator.skeleton).likelihood
    (_, report), (_, found) = (
        judge_uncertainty(validation.evaluator, some, likelihood, np.isin(some.person_ids, chosen))
        for some in (poses, others)
    )
    assert found["overall"] == pytest.approx(report["overall"])


@pytest.fixture
def other_file() -> tuple[str, str]:
    """Persons to fit on who are not those to judge on."""
    return "annotations/person_keypoints_train.json", "train"


def test_a_correction_is_fitted_on_one_file_and_judged_on_all_of_another(
    checkpoint: Callable[..., Path], other_file: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = checkpoint()
    loaded = load_checkpoint(path)
    to = tmp_path / "new.pt"
    numbers = recalibrate_checkpoint(path, loaded.config, loaded, "scale", to, tmp_path, ALONE, other_file)
    model = open_checkpoint(path, loaded.config, loaded, ALONE.device)
    fitting_config = load_checkpoint(path).config
    data = replace(fitting_config.data, val_annotations=other_file[0], val_images=other_file[1])
    fitting = validation_of(path, replace(fitting_config, data=data), loaded, "gt", ALONE)
    judging = validation_of(path, loaded.config, loaded, "gt", ALONE)
    for validation, name in ((fitting, "fitted"), (judging, "evaluated")):
        told = rf"{name} on {len(validation.table)} (persons|others) of {validation.evaluator.path}"
        assert re.search(told, caplog.text)
    _, report = judge_uncertainty(judging.evaluator, judging.source.predict(model), model.likelihood)
    assert numbers["before"]["NLL"] == report["overall"]["NLL"]
    # The factor is the best for the persons that it was fitted on: a little more or less fits them worse.
    poses = fitting.source.predict(model)
    factor = load_checkpoint(to).recalibration.scale[0]

    def nll(factor: float) -> float:
        scaled = replace(poses, sigma=poses.sigma * factor)
        return judge_uncertainty(fitting.evaluator, scaled, model.likelihood)[1]["overall"]["NLL"]

    assert nll(factor) < min(nll(0.9 * factor), nll(1.1 * factor))


def test_a_correction_is_not_judged_on_what_it_was_fitted_on(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    same = (loaded.config.data.val_annotations, loaded.config.data.val_images)
    with pytest.raises(InputError, match=r"--fit-annotations: 12 pictures of .*_val\.json are also in .*_val\.json"):
        recalibrate_checkpoint(path, loaded.config, loaded, "scale", path, tmp_path, ALONE, same)


def test_the_command_fits_on_the_file_it_is_given(
    run_script: Callable[..., subprocess.CompletedProcess[str]],
    checkpoint: Callable[..., Path],
    other_file: tuple[str, str],
    tmp_path: Path,
) -> None:
    path, (annotations, images) = checkpoint(), other_file
    command = ("recalibrate.py", "--checkpoint", path, "--out", tmp_path, "--fit-images", images)
    result = run_script(*command, "--fit-annotations", annotations)
    assert result.returncode == 0, result.stderr
    assert re.search(r"fitted on \d+ persons of .*person_keypoints_train\.json", result.stdout)
    assert load_checkpoint(path).recalibration is not None
    result = run_script(*command)
    assert result.returncode == 2 and "--fit-images: only used with --fit-annotations" in result.stderr
