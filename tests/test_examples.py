"""The examples in docstrings do what they show."""

import doctest
import importlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

MODULES = [
    "rlepose.inference.space",
    "rlepose.losses.criterion",
    "rlepose.losses.flows",
    "rlepose.losses.heatmap",
    "rlepose.losses.likelihood",
    "rlepose.losses.rle",
    "rlepose.pose.camera",
    "rlepose.pose.codec",
    "rlepose.pose.frames",
]


def run(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried > 0 and failed == 0


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_do_what_they_show(module: str) -> None:
    run(module)


def test_the_predictors_example_does_what_it_shows(
    checkpoint: Callable[..., Path], synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("exp/demo/checkpoints", "holiday"):
        Path(folder).mkdir(parents=True)
    shutil.copy(checkpoint(), "exp/demo/checkpoints/best.pt")
    shutil.copy(sorted((synthetic / "val").iterdir())[0], "holiday/beach.jpg")
    run("rlepose.inference.predictor")
