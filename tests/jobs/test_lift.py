"""`rlepose lift`: a file of poses in, the same entries with joints in space out."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.cli import main
from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.inference import Lifter
from rlepose.jobs.lift import lift_file
from rlepose.jobs.train import build_trainer
from rlepose.runtime.checkpoint_file import write_tree
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment

JOINTS = np.random.default_rng(0).normal(500, 100, (3, 18, 2))


@pytest.fixture
def checkpoint(lifting_config: Callable[..., Config]) -> Path:
    trainer = build_trainer(lifting_config(), Ranks(0, 1, torch.device("cpu")))
    torch.nn.init.normal_(trainer.task.step.model.coordinates.weight, std=0.05)
    path = Experiment.of(trainer.task.config).best
    write_tree(path, trainer.tree())
    return path


def poses_file(path: Path, counts: tuple[int, ...] = (17, 18, 17)) -> Path:
    """A list in COCO's results format, as `rlepose predict` writes it, with so many joints each."""
    entries = []
    for number, (joints, count) in enumerate(zip(JOINTS, counts, strict=True)):
        flat = np.column_stack([joints[:count], np.full(count, 0.9)]).ravel().tolist()
        entries.append(
            {"image_id": 7 + number, "category_id": 1, "keypoints": flat, "score": 1.5, "file_name": "a.jpg"}
        )
    path.write_text(json.dumps(entries))
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["rlepose", "lift", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command_adds_joints_in_space_to_the_entries_of_a_file(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poses, out = poses_file(tmp_path / "results.json"), tmp_path / "new" / "lifted.json"
    camera = ("--focal", 1000, 1010, "--principal", 480, 500)
    assert run(monkeypatch, "--checkpoint", checkpoint, "--poses", poses, "--out", out, "--device", "cpu", *camera) == 0
    before, after = json.loads(poses.read_text()), json.loads(out.read_text())
    joints, std = Lifter(checkpoint, device="cpu").predict(JOINTS[:, :17], (1000, 1010), (480, 500))
    assert [{key: entry[key] for key in before[0]} for entry in after] == before
    np.testing.assert_allclose([entry["joints_mm"] for entry in after], joints, atol=0.006)
    np.testing.assert_allclose([entry["std_mm"] for entry in after], std, atol=0.006)


def test_without_a_camera_it_is_human36ms(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poses, out = poses_file(tmp_path / "results.json"), tmp_path / "lifted.json"
    assert run(monkeypatch, "--checkpoint", checkpoint, "--poses", poses, "--out", out, "--device", "cpu") == 0
    joints, _ = Lifter(checkpoint, device="cpu").predict(JOINTS[:, :17], (1147, 1146), (514, 507))
    np.testing.assert_allclose([e["joints_mm"] for e in json.loads(out.read_text())], joints, atol=0.006)
    one = run(
        monkeypatch, "--checkpoint", checkpoint, "--poses", poses, "--out", out, "--device", "cpu", "--focal", 900
    )
    assert one == 0
    joints, _ = Lifter(checkpoint, device="cpu").predict(JOINTS[:, :17], 900, (514, 507))
    np.testing.assert_allclose([e["joints_mm"] for e in json.loads(out.read_text())], joints, atol=0.006)


def test_a_file_without_poses_gives_one_without_joints(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "poses.json").write_text("[]")
    out = tmp_path / "lifted.json"
    assert lift_file(Lifter(checkpoint, device="cpu"), tmp_path / "poses.json", out, (1000, 1000), (500, 500)) == 0
    assert json.loads(out.read_text()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": []}, r"poses\.json: expected a list in COCO's results format, got dict"),
        ([{"keypoints": [1.0] * 42}], r"poses\.json: entry 0: keypoints: expected .* 17 or 18 joints, got 42 numbers"),
        (
            [{"keypoints": [1.0] * 51}, {"bbox": [1, 2, 3, 4]}],
            r"poses\.json: entry 1: keypoints: .* got something else",
        ),
        ([{"keypoints": ["a"] * 51}], r"poses\.json: entry 0: keypoints: .* got something else"),
        ([7], r"poses\.json: entry 0: keypoints: .* got something else"),
        ([{"keypoints": [10**400] * 51}], r"poses\.json: entry 0: keypoints: .* got something else"),
    ],
)
def test_what_is_no_list_of_such_poses_is_refused(checkpoint: Path, tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "poses.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        lift_file(Lifter(checkpoint, device="cpu"), tmp_path / "poses.json", tmp_path / "out.json", (1, 1), (0, 0))
    assert not (tmp_path / "out.json").exists()


def test_the_file_of_the_poses_is_not_written_over(checkpoint: Path, tmp_path: Path) -> None:
    poses = poses_file(tmp_path / "results.json")
    with pytest.raises(InputError, match=r"--out: .* is also the input file"):
        lift_file(Lifter(checkpoint, device="cpu"), poses, poses, (1000, 1000), (500, 500))


def test_wrong_arguments_are_told(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--checkpoint", checkpoint, "--poses", tmp_path / "none.json", "--out", tmp_path / "out.json")
    assert run(monkeypatch, *given, "--device", "cpu") == 2
    assert "none.json: the file of poses does not exist; check the path" in capsys.readouterr().err
    assert run(monkeypatch, *given, "--focal", 1, 2, 3) == 2
    assert "--focal: expected one or two numbers, got 3" in capsys.readouterr().err
