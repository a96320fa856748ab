"""The comparison with the authors' code runs only beside a clone of it; this is what can be seen without one."""

import subprocess
from collections.abc import Callable
from pathlib import Path


def test_a_folder_that_is_no_clone_is_named(
    run_script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    result = run_script("compare_authors.py", "--clone", tmp_path, folder="benchmarks")
    assert result.returncode == 2
    assert f"--clone: {tmp_path} has no rlepose/trainer.py; name a clone" in result.stderr


def test_the_help_tells_what_is_compared(run_script: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    result = run_script("compare_authors.py", "--help", folder="benchmarks")
    assert result.returncode == 0, result.stderr
    assert "--clone DIR" in result.stdout and "COCO's ten numbers" in result.stdout
