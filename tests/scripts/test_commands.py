"""The commands as a user types them: what they write, and what they say when something is wrong."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rlepose.runtime.checkpoint import load_checkpoint

Run = Callable[..., subprocess.CompletedProcess[str]]
CONFIG = "configs/synthetic_res18_rle.yaml"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments")


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a user with a wrong input gets."""
    assert result.returncode == 2, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]


def test_train_then_validate_with_true_and_with_detected_boxes(
    run_script: Run, tiny_overrides: list[str], synthetic: Path, tmp_path: Path
) -> None:
    result = run_script("train.py", "--cfg", CONFIG, "--name", "first", "--set", *tiny_overrides)
    assert result.returncode == 0, result.stderr
    assert "experiment" in result.stdout
    assert "boxes      AP" in result.stdout
    checkpoint = tmp_path / "exp" / "first" / "checkpoints" / "best.pt"

    truth = json.loads((synthetic / "annotations" / "person_keypoints_val.json").read_text())
    boxes = [{k: a[k] for k in ("image_id", "category_id", "bbox")} | {"score": 0.5} for a in truth["annotations"]]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    result = run_script(
        "validate.py",
        "--checkpoint",
        checkpoint,
        "--calibration",
        "--set",
        f"data.detections={tmp_path / 'boxes.json'}",
    )
    assert result.returncode == 0, result.stderr
    results = tmp_path / "exp" / "first" / "results"
    metrics = json.loads((results / "metrics.json").read_text())
    assert {"gt/AP", "gt/AR", "gt/NLL", "det/AP", "det/AR"} <= metrics.keys()
    assert {path.name for path in results.iterdir()} == {
        "calibration.json",
        "density.png",
        "reliability.png",
        "risk_coverage.png",
        "keypoints_det.json",
        "keypoints_gt.json",
        "metrics.json",
        "validation.json",
        "persons_gt.png",
    }
    poses = json.loads((results / "keypoints_gt.json").read_text())
    assert len(poses[0]["keypoints"]) == 17 * 3

    result = run_script("report.py", tmp_path / "exp" / "first", "--out", tmp_path / "report.html", "--pictures", 2)
    assert result.returncode == 0, result.stderr
    assert "Types of mistakes" in (tmp_path / "report.html").read_text(encoding="utf-8")

    result = run_script("recalibrate.py", "--checkpoint", checkpoint, "--method", "isotonic")
    assert result.returncode == 0, result.stderr
    assert "calibration_error" in result.stdout
    assert load_checkpoint(checkpoint).recalibration.method == "isotonic"

    again = run_script("train.py", "--cfg", CONFIG, "--name", "first", "--set", *tiny_overrides)
    assert "pass --resume to continue it, --overwrite to delete it" in complaint(again)


def test_an_unknown_option_is_answered_with_the_nearest(run_script: Run) -> None:
    message = complaint(run_script("train.py", "--cfg", CONFIG, "--set", "train.epoch=3"))
    assert message == "error: --set: train.epoch: no such option; did you mean train.epochs?"


def test_a_missing_config_is_named(run_script: Run) -> None:
    assert "configs/nowhere.yaml: cannot read" in complaint(run_script("train.py", "--cfg", "configs/nowhere.yaml"))


def test_a_missing_annotation_file_is_named(run_script: Run, tiny_overrides: list[str]) -> None:
    result = run_script("train.py", "--cfg", CONFIG, "--set", *tiny_overrides, "data.train_annotations=no.json")
    assert "no.json: the annotation file does not exist; check data.root" in complaint(result)


def test_a_failed_start_does_not_block_the_name(run_script: Run, tiny_overrides: list[str], tmp_path: Path) -> None:
    broken = ["data.train_annotations=no.json"]
    complaint(run_script("train.py", "--cfg", CONFIG, "--set", *tiny_overrides, *broken))
    result = run_script("train.py", "--cfg", CONFIG, "--set", *tiny_overrides, "train.epochs=1")
    assert result.returncode == 0, result.stderr


def test_weights_without_network_name_the_file_to_fetch(
    run_script: Run, tiny_overrides: list[str], tmp_path: Path
) -> None:
    overrides = [*tiny_overrides, "model.backbone.name=resnet18.tv_in1k", "model.backbone.pretrained=true"]
    result = run_script(
        "train.py", "--cfg", CONFIG, "--set", *overrides, HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path / "cache")
    )
    assert "--set model.backbone.weights=FILE" in complaint(result)


def test_a_folder_that_cannot_be_made_is_named(run_script: Run, tiny_overrides: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run_script("train.py", "--cfg", CONFIG, "--set", *tiny_overrides, f"output_dir={tmp_path / 'file'}")
    assert str(tmp_path / "file") in complaint(result)


def test_a_missing_checkpoint_is_named(run_script: Run) -> None:
    assert "nowhere: not an experiment with a checkpoint" in complaint(run_script("report.py", "exp/nowhere"))
    assert "no.pt: no such checkpoint" in complaint(run_script("validate.py", "--checkpoint", "no.pt"))
