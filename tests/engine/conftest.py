"""A training small enough for a test, and commands in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlepose.config import Config, load_config

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def tiny_overrides(synthetic: Path, tmp_path: Path) -> list[str]:
    """Options that shrink the synthetic config to seconds. ConvNeXt has no batch statistics, so that one batch and
    two halves of it give equal losses."""
    return [
        f"data.root={synthetic}",
        f"output_dir={tmp_path / 'exp'}",
        "data.input_size_hw=[64, 64]",
        "model.backbone.name=convnext_atto",
        "train.epochs=2",
        "train.batch_size=8",
        "train.schedule={name: step, milestones: [], warmup_epochs: 0}",
        "train.validate_every=1",
        "train.log_every=1",
        "system.workers=0",
        "system.device=cpu",
        "system.precision=float32",
    ]


@pytest.fixture
def tiny_config(tiny_overrides: list[str]) -> Callable[..., Config]:
    """tiny_config('train.epochs=3', …) -> Config."""

    def make(*overrides: str) -> Config:
        return load_config(REPOSITORY / "configs" / "synthetic_res18_rle.yaml", [*tiny_overrides, *overrides])

    return make


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """run_script('train.py', '--cfg', …, ranks=2): a script of the project in its own process or, on several ranks,
    under torchrun."""

    def run(script: str, *arguments: object, ranks: int = 1, folder: str = "scripts", **environment: str):
        launcher = [sys.executable]
        if ranks > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        command = [*launcher, str(REPOSITORY / folder / script), *map(str, arguments)]
        threads = {"OMP_NUM_THREADS": str(max(1, 2 // ranks))}
        return subprocess.run(
            command, cwd=REPOSITORY, env=os.environ | threads | environment, capture_output=True, text=True, timeout=300
        )

    return run
