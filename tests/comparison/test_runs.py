"""A comparison from its rows to its tables, with a row that fails and one that was interrupted."""

import csv
import dataclasses
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest
import torch

from rlepose.comparison.runs import _places, _Processes, run_all
from rlepose.comparison.state import state_of
from rlepose.comparison.suite import Suite, load_suite
from rlepose.comparison.table import write_tables
from rlepose.engine.checkpoint import load_checkpoint, save_checkpoint
from rlepose.engine.distributed import Ranks
from rlepose.engine.trainer import train
from rlepose.engine.validate_checkpoint import validate_checkpoint
from rlepose.models.cost import model_cost

ROOT = Path(__file__).parents[2]
ALONE = Ranks(0, 1, torch.device("cpu"))
SUITE = """
set: OPTIONS
rows:
  - {name: fails, cfg: CONFIG, set: [data.train_images=nowhere]}
  - {name: interrupted, cfg: CONFIG, set: [loss.name=l1], published: papers.md#one}
  - {name: whole, cfg: CONFIG, calibration: true}
  - {name: follows, cfg: CONFIG, after: fails}
"""


@pytest.fixture
def suite(tmp_path: Path, tiny_overrides: list[str]) -> Suite:
    (tmp_path / "papers.md").write_text("| id | AP |\n|---|---|\n| `one` | 12.3 |\n")
    tiny = [*tiny_overrides, "loss.name=laplace", "model.backbone.name=test_resnet", "eval.pictures=0"]
    config = ROOT / "configs" / "synthetic_res18_rle.yaml"
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE.replace("CONFIG", str(config)).replace("OPTIONS", json.dumps(tiny)))
    return load_suite(path, tmp_path / "out")


def interrupt(path: Path, epoch: int) -> None:
    """Make a finished run's last checkpoint one of an earlier epoch."""
    checkpoint = load_checkpoint(path)
    progress = checkpoint.progress | {"epoch": epoch, "validated": epoch}
    save_checkpoint(path, dataclasses.replace(checkpoint, progress=progress))


def test_a_suite_is_finished_but_for_the_row_that_fails(
    suite: Suite, tmp_path: Path, run_script: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    runs = {run.row.name: run for run in suite.runs()}
    train(runs["interrupted"].config, ALONE)
    interrupt(runs["interrupted"].experiment.last, 1)
    assert state_of(runs["interrupted"]).detail == "stopped after epoch 1 of 2"

    result = run_script("compare.py", "--suite", suite.path, "--out", suite.out, "--jobs", 2)
    assert result.returncode == 1, result.stderr
    assert result.stderr == "failed: fails_seed0, follows_seed0\n"
    assert "follows_seed0 FAILED: the row fails, which it starts from, failed" in result.stdout
    states = {name: state_of(run).kind for name, run in runs.items()}
    assert states == {"fails": "new", "interrupted": "finished", "whole": "finished", "follows": "new"}
    assert "resuming after epoch 1 of 2" in (suite.out / "logs" / "interrupted_seed0.log").read_text()
    assert "nowhere" in (suite.out / "logs" / "fails_seed0.log").read_text()
    assert not runs["follows"].experiment.folder.exists()

    text = (suite.out / "results.md").read_text()
    assert text in result.stdout
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")] == [
        "| row",
        "| fails",
        "| interrupted",
        "| whole",
        "| follows",
    ]
    assert "| AP 12.3 |" in text
    assert "* fails_seed0: not begun" in text
    with (suite.out / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [line["row"] for line in table] == ["interrupted", "whole"]
    assert float(table[1]["gt/AP"]) == state_of(runs["whole"]).metrics["gt/AP"]
    assert table[0]["gt/NLL"] == ""
    assert table[1]["gt/NLL"] != ""
    assert (suite.out / "results.png").stat().st_size > 0

    # Nothing of it is done again.
    before = {path: path.stat().st_mtime_ns for path in suite.out.rglob("*") if path.name in ("last.pt", "train.log")}
    kept = dataclasses.replace(suite, rows=suite.rows[1:3])
    assert run_all(kept, tmp_path / "no scripts here") == []
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_what_a_run_left_tells_how_far_it_is(suite: Suite) -> None:
    (run,) = dataclasses.replace(suite, rows=suite.rows[2:3]).runs()
    assert state_of(run).kind == "new"
    train(run.config, ALONE)
    last, best = run.experiment.last, run.experiment.best
    assert state_of(run).kind == "trained"

    results, checkpoint = run.experiment.folder / "results", load_checkpoint(best)
    validate_checkpoint(best, run.config, checkpoint, ["gt"], results, ALONE)
    assert state_of(run).kind == "trained", "the row wants its uncertainty judged, too"
    metrics = validate_checkpoint(best, run.config, checkpoint, ["gt"], results, ALONE, calibration=True)
    assert state_of(run).metrics == metrics

    later = (results / "metrics.json").stat().st_mtime + 1
    os.utime(best, (later, later))
    assert state_of(run).kind == "trained", "the numbers are of an earlier checkpoint"

    slower = dataclasses.replace(run.config.system, workers=1)
    assert state_of(dataclasses.replace(run, config=dataclasses.replace(run.config, system=slower))).kind == "trained"
    other = dataclasses.replace(run.config.train, batch_size=4)
    state = state_of(dataclasses.replace(run, config=dataclasses.replace(run.config, train=other)))
    assert state.kind == "other"
    assert "train.batch_size: 8 -> 4" in state.detail

    last.write_bytes(last.read_bytes()[:1000])
    assert state_of(run).kind == "interrupted", "the checkpoint before is whole, and of the epoch before"
    last.unlink()
    assert state_of(run).kind == "interrupted"
    run.experiment.previous.write_bytes(b"")
    assert state_of(run).kind == "other"


def test_results_without_their_last_checkpoint_are_not_taken_for_a_new_run(suite: Suite, tmp_path: Path) -> None:
    suite = dataclasses.replace(suite, rows=suite.rows[2:3])
    (run,) = suite.runs()
    run.experiment.best.parent.mkdir(parents=True)
    run.experiment.best.touch()
    assert state_of(run).kind == "other"
    assert run_all(suite, tmp_path / "no scripts here") == [run.name]
    assert run.experiment.best.exists()


def test_a_run_is_out_of_date_when_what_it_starts_from_was_trained_anew(suite: Suite) -> None:
    first, second = dataclasses.replace(suite, rows=suite.rows[2:3], seeds=(0, 1)).runs()
    train(first.config, ALONE)
    model = dataclasses.replace(second.config.model, init_from=str(first.experiment.best))
    second = dataclasses.replace(second, config=dataclasses.replace(second.config, model=model))
    train(second.config, ALONE)
    assert state_of(second).kind == "trained"
    later = (second.experiment.folder / "metrics.jsonl").stat().st_mtime + 1
    os.utime(first.experiment.best, (later, later))
    assert state_of(second).kind == "trained", "recalibration writes a checkpoint anew, but not its weights"
    os.utime(first.experiment.folder / "metrics.jsonl", (later, later))
    state = state_of(second)
    assert state.kind == "other"
    assert f"is older than {first.experiment.best}, which it starts from" in state.detail


def test_a_run_of_another_config_is_kept_unless_overwriting_is_asked_for(suite: Suite, tmp_path: Path) -> None:
    suite = dataclasses.replace(suite, rows=suite.rows[2:3])
    (run,) = suite.runs()
    train(dataclasses.replace(run.config, train=dataclasses.replace(run.config.train, batch_size=4)), ALONE)
    written = run.experiment.last.stat().st_mtime_ns
    assert run_all(suite, tmp_path / "no scripts here") == [run.name]
    assert run.experiment.last.stat().st_mtime_ns == written
    # Two scripts that tell how they were called.
    for script in ("train.py", "validate.py"):
        (tmp_path / script).write_text("import sys; print(sys.argv)")
    run_all(suite, tmp_path, overwrite=True)
    assert "'--overwrite'" in (suite.out / "logs" / f"{run.name}.log").read_text()


def test_the_mean_and_deviation_over_seeds_are_tabulated(suite: Suite) -> None:
    suite = dataclasses.replace(suite, rows=suite.rows[1:2], seeds=(0, 1, 2))
    values = [0.1, 0.2, 0.6]
    for run, value in zip(suite.runs(), values, strict=True):
        folder = run.experiment.folder
        train(dataclasses.replace(run.config), ALONE)
        (folder / "results").mkdir()
        (folder / "results" / "metrics.json").write_text(f'{{"gt/PCK@0.5": 1, "gt/AP": {value}, "gt/PCK@0.2": null}}')
    text = write_tables(suite)
    costs = ("parameters_M", "multiply_adds_G", "train_images_per_second")
    assert f"| seeds | gt/AP | gt/PCK@0.5 | {' | '.join(costs)} | published |" in text
    assert f"--seeds 0 1 2 --out {suite.out}`" in text
    parameters = model_cost(suite.runs()[0].config).parameters / 1e6
    assert f"| 0, 1, 2 | 0.300 ± 0.265 | 1.000 ± 0.000 | {parameters:.3f} ± 0.000 | " in text
    assert " | AP 12.3 |" in text
    assert "Not finished" not in text


def test_nme_is_tabulated_and_its_curves_are_drawn_where_runs_have_one(suite: Suite) -> None:
    rows = [dataclasses.replace(suite.rows[1], overrides=("loss.name=l1", "eval.nme_reference=box")), suite.rows[2]]
    suite = dataclasses.replace(suite, rows=tuple(rows), seeds=(0, 1))
    for run in suite.runs():
        train(run.config, ALONE)
        folder = run.experiment.folder / "results"
        best = load_checkpoint(run.experiment.best)
        validate_checkpoint(run.experiment.best, best.config, best, ["gt"], folder, ALONE, run.row.calibration)
    text = write_tables(suite)
    lines = [dict(zip(*cells, strict=True)) for cells in _rows(text)]
    assert [name for name in lines[0] if "NME" in name] == [
        "gt/NME",
        "gt/NME_AUC@0.08",
        "gt/NME_AUC@0.1",
        "gt/NME_failures@0.08",
        "gt/NME_failures@0.1",
    ]
    assert re.fullmatch(r"\d\.\d{4} ± \d\.\d{4}", lines[0]["gt/NME"]) and lines[1]["gt/NME"] == "–"
    assert (suite.out / "nme_curves.png").exists()


def test_a_run_whose_validation_has_no_nme_is_not_finished(suite: Suite) -> None:
    row = dataclasses.replace(suite.rows[1], overrides=("loss.name=l1", "eval.nme_reference=box"))
    (run,) = dataclasses.replace(suite, rows=(row,)).runs()
    train(run.config, ALONE)
    folder = run.experiment.folder / "results"
    folder.mkdir()
    (folder / "metrics.json").write_text('{"gt/AP": 0.5}')
    assert state_of(run).kind == "trained"
    (folder / "metrics.json").write_text('{"gt/AP": 0.5, "gt/NME": 0.1}')
    assert state_of(run).kind == "finished"


def _rows(text: str) -> list[tuple[list[str], list[str]]]:
    """Header and cells of each line of the table."""
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    return [(header, cells) for cells in rows]


def test_stopping_ends_what_runs_and_starts_no_more(tmp_path: Path) -> None:
    (tmp_path / "sleep.py").write_text("import time; print('here', flush=True); time.sleep(60)")
    free: SimpleQueue[dict[str, str]] = SimpleQueue()
    free.put({})
    processes, problems = _Processes(free), []

    def run() -> None:
        try:
            processes.run([str(tmp_path / "sleep.py")], tmp_path / "log")
        except RuntimeError as error:
            problems.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    while not (tmp_path / "log").exists() or "here" not in (tmp_path / "log").read_text():
        thread.join(0.02)
    processes.stop()
    thread.join(20)
    run()
    assert [problem.split(" (")[0] for problem in problems] == ["here", "stopped"]


def test_runs_are_spread_over_the_devices_and_share_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert _places(None) == [{"CUDA_VISIBLE_DEVICES": "4"}, {"CUDA_VISIBLE_DEVICES": "7"}]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in _places(3)] == ["4", "7", "4"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert _places(None) == [{"OMP_NUM_THREADS": "8"}]
    assert _places(3) == [{"OMP_NUM_THREADS": "2"}] * 3
