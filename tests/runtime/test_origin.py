"""Where numbers come from: the commit of the code, above all."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlepose.config.config import Config
from rlepose.config.reading import with_overrides
from rlepose.jobs import validate as module
from rlepose.jobs.validate import validate_checkpoint
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.origin import code_version, origin
from rlepose.runtime.run_log import read_json_lines
from tests.training.running import ALONE, experiment_of, run

UNKNOWN = {"commit": None, "modified": None}


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """git(…) in a new repository, with tmp_path/package/__init__.py in its first commit."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=b"]
        return subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    run("init")
    run("add", ".")
    run("commit", "-m", "first")
    code_version.cache_clear()
    return run


def version_of(folder: Path) -> dict[str, object]:
    code_version.cache_clear()
    return code_version(folder)


def test_a_change_of_the_code_is_seen_and_one_beside_it_is_not(git: Callable[..., str], tmp_path: Path) -> None:
    commit = git("rev-parse", "HEAD").strip()
    (tmp_path / "record.json").touch()
    assert version_of(tmp_path / "package") == {"commit": commit, "modified": False}
    (tmp_path / "package" / "new.py").touch()
    assert version_of(tmp_path / "package") == {"commit": commit, "modified": True}


def test_an_installed_package_has_no_commit_of_the_repository_around_it(
    git: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "__init__.py").touch()
    assert version_of(tmp_path / "environment") == UNKNOWN


def test_without_git_the_commit_is_unknown(
    git: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert version_of(tmp_path / "package") == UNKNOWN


def test_an_origin_names_versions_and_device() -> None:
    reported = origin(ALONE)
    assert reported["torch"] == torch.__version__
    assert reported["threads"] == 1
    assert reported["device"]


def persons(synthetic: Path, split: str) -> int:
    return len(json.loads((synthetic / "annotations" / f"person_keypoints_{split}.json").read_text())["annotations"])


def test_each_start_of_a_training_is_noted(tiny_config: Callable[..., Config], synthetic: Path) -> None:
    run(tiny_config("train.epochs=1"))
    run(tiny_config("train.epochs=2"), resume=True)
    starts = read_json_lines(experiment_of(tiny_config()).starts)
    expected = {"training": persons(synthetic, "train"), "validation": persons(synthetic, "val")}
    assert [start["persons"] for start in starts] == [expected] * 2
    assert starts[0]["torch"] == torch.__version__


def test_a_validation_tells_its_options_and_persons(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path
) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    config = with_overrides(loaded.config, ["eval.flip_test=false"])
    validate_checkpoint(path, config, loaded, ["gt"], tmp_path, ALONE)
    reported = json.loads((tmp_path / "validation.json").read_text())
    assert reported["config"] == config.to_dict()
    assert reported["persons"] == {"gt": persons(synthetic, "val")}
    assert reported["origin"].keys() == origin(ALONE).keys()


def test_a_validation_that_is_killed_leaves_no_options_beside_numbers_of_others(
    checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    validate_checkpoint(path, loaded.config, loaded, ["gt"], tmp_path, ALONE)
    write = module.write_json

    def killed_after(path: Path, tree: object) -> None:
        write(path, tree)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_json", killed_after)
    with pytest.raises(KeyboardInterrupt):
        validate_checkpoint(path, loaded.config, loaded, ["gt"], tmp_path, ALONE)
    assert (tmp_path / "metrics.json").exists()
    assert not (tmp_path / "validation.json").exists()
