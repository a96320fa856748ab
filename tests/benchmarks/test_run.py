"""The benchmarks' harness: it runs on a tiny data set, and its counters and clocks count what they should."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from rlepose.drawn_people.people import write_synthetic

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def measuring() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measuring", BENCHMARKS / "measuring.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_rows_of_each_part_come_into_table_and_json(
    run_script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for split, pictures in (("train2017", 3), ("val2017", 2)):
        write_synthetic(tmp_path / "coco", split, pictures, seed=0)
    # Not `scaling`, which starts three processes more.
    groups = ["items", "evaluation", "loss", "step", "precision", "inference", "start"]
    arguments = ["--quick", "--data", tmp_path / "coco", "--json", tmp_path / "out.json", "--rows", *groups]
    result = run_script("run.py", *arguments, folder="benchmarks")
    assert result.returncode == 0, result.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["about"].keys() == {"command", "commit", "machine", "load", "versions"}
    names = [row["name"] for row in written["rows"]]
    for part in (
        "training item",
        "stored for a person",
        "detected box, 20 a picture",
        "decode 1,000 predictions",
        "OKS-NMS",
        "results JSON",
        "COCO's table",
        "whole evaluation",
        "flow + loss, forward",
        "flow + loss, batch 32",
        "training step, ResNet-18, batch 2",
        "training step, mobilenetv3_large_100 (3.1% depthwise), batch 2",
        "inference",
        "import all that training needs",
        "a worker's own memory",
    ):
        assert any(name.startswith(part) or part in name for name in names), part
    for row in written["rows"]:
        assert f"| {row['name']} | {row['unit']} |" in result.stdout
        assert all(len(costs) == 1 for costs in row["costs"].values())


def test_sides_take_turns_and_gains_are_ratios_within_a_round(measuring: ModuleType) -> None:
    calls: list[str] = []
    costs = {"first": iter([9, 4.0, 8.0]), "second": iter([9, 2.0, 2.0])}

    def side(name: str) -> Callable[[], float]:
        def work() -> float:
            calls.append(name)
            return next(costs[name])

        return work

    result = measuring.measure(measuring.Row("work", "s", {name: side(name) for name in costs}), rounds=2)
    assert calls == ["first", "second"] * 3  # the first round warms up
    assert result.costs == {"first": [4, 8], "second": [2, 2]}
    assert result.gains("second") == [2, 4]
    assert "|  |  | second | 2 | ×3 | 2 … 4 |" in measuring.table([result])


def test_operators_that_compute_are_counted_and_views_are_not(measuring: ModuleType) -> None:
    x = torch.rand(3, 4, requires_grad=True)
    # exp and sum; backward: ones for the loss, an expand, which is a view, and a multiplication by exp
    assert measuring.operators(lambda: x.view(12).exp().sum()) == (2, 2)
    assert measuring.operators(lambda: x.t().reshape(2, 6).exp().sum())[0] == 3  # a transposed matrix is copied


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's /proc")
def test_memory_grows_by_what_a_fork_writes_not_by_what_it_reads(measuring: ModuleType) -> None:
    shared = torch.zeros(4 << 20, dtype=torch.float64)  # 32 MiB
    read = measuring.in_a_fork(lambda: measuring.growth_mib(lambda: float(shared.sum())))
    written = measuring.in_a_fork(lambda: measuring.growth_mib(lambda: shared.add_(1)))
    assert read < 4
    assert 30 < written < 36


def test_a_stopwatch_notes_each_call_and_goes_away(measuring: ModuleType) -> None:
    original = os.getcwd
    with measuring.stopwatch(os, "getcwd") as seconds:
        assert os.getcwd() == original()  # noqa: PTH109
    assert len(seconds) == 1 and seconds[0] >= 0
    assert os.getcwd is original


def test_a_folder_that_is_no_clone_is_named(
    run_script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for split in ("train2017", "val2017"):
        write_synthetic(tmp_path, split, 1, seed=0)
    result = run_script("run.py", "--data", tmp_path, "--official", tmp_path, folder="benchmarks")
    assert result.returncode == 2
    assert f"--official: {tmp_path} has no rlepose/models" in result.stderr
