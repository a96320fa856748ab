"""A comparison from its rows to its tables, with a row that fails and one that was interrupted."""

import csv
import dataclasses
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlepose.comparison.record import records_of_runs
from rlepose.comparison.record_files import read_records
from rlepose.comparison.runs import Outcome, run_all
from rlepose.comparison.state import state_of
from rlepose.comparison.suite import Suite, load_suite
from rlepose.jobs.train import train
from rlepose.jobs.validate import validate_checkpoint
from rlepose.runtime.checkpoint import load_checkpoint, save_checkpoint
from rlepose.runtime.distributed import Ranks
from tests.comparison.made_runs import CONFIG, make_trained, make_validated, program_in, suite_of

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
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE.replace("CONFIG", str(CONFIG)).replace("OPTIONS", json.dumps(tiny)))
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

    records = tmp_path / "records"
    result = run_script("compare.py", "--suite", suite.path, "--out", suite.out, "--jobs", 2, "--record", records)
    assert result.returncode == 1, result.stderr
    assert result.stderr == "failed: fails_seed0, follows_seed0\n"
    assert "follows_seed0 FAILED: row fails, from which it starts, failed" in result.stdout
    states = {name: state_of(run).progress for name, run in runs.items()}
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

    # The records are enough for the same tables.
    assert sorted(path.name for path in (records / "tiny").iterdir()) == ["interrupted_seed0.json", "whole_seed0.json"]
    assert read_records(records, suite).found == json.loads(json.dumps(records_of_runs(suite).found))

    # Nothing of it is done again.
    before = {path: path.stat().st_mtime_ns for path in suite.out.rglob("*") if path.name in ("last.pt", "train.log")}
    kept = dataclasses.replace(suite, rows=suite.rows[1:3])
    assert run_all(kept, program=["no program"]) == Outcome(finished=["interrupted_seed0", "whole_seed0"])
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_what_a_run_left_tells_how_far_it_is(suite: Suite) -> None:
    (run,) = dataclasses.replace(suite, rows=suite.rows[2:3]).runs()
    assert state_of(run).progress == "new"
    train(run.config, ALONE)
    last, best = run.experiment.last, run.experiment.best
    assert state_of(run).progress == "trained"

    results, checkpoint = run.experiment.folder / "results", load_checkpoint(best)
    validate_checkpoint(best, run.config, checkpoint, ["gt"], results, ALONE)
    state = state_of(run)
    assert (state.progress, state.detail) == ("trained", "validated without gt/NLL"), (
        "the row wants its uncertainty judged"
    )
    metrics = validate_checkpoint(best, run.config, checkpoint, ["gt"], results, ALONE, calibration=True)
    assert state_of(run).metrics == metrics

    other = dataclasses.replace(run.validation.eval, flip_test=False)
    state = state_of(dataclasses.replace(run, validation=dataclasses.replace(run.validation, eval=other)))
    assert (state.progress, state.detail) == ("trained", "validated with other options (eval.flip_test: True -> False)")

    later = (results / "validation.json").stat().st_mtime + 1
    os.utime(best, (later, later))
    assert state_of(run).progress == "trained", "the numbers are of an earlier checkpoint"

    slower = dataclasses.replace(run.config.system, workers=1)
    assert (
        state_of(dataclasses.replace(run, config=dataclasses.replace(run.config, system=slower))).progress == "trained"
    )
    other = dataclasses.replace(run.config.train, batch_size=4)
    state = state_of(dataclasses.replace(run, config=dataclasses.replace(run.config, train=other)))
    assert state.progress == "other"
    assert "train.batch_size: 8 -> 4" in state.detail

    last.write_bytes(last.read_bytes()[:1000])
    assert state_of(run).progress == "interrupted", "the checkpoint before is whole, and of the epoch before"
    last.unlink()
    assert state_of(run).progress == "interrupted"
    run.experiment.previous.write_bytes(b"")
    assert state_of(run).progress == "other"


def test_a_run_whose_validation_has_no_nme_is_not_finished(tmp_path: Path) -> None:
    text = "{validate_set: [eval.nme_reference=box], rows: [{name: a, cfg: CONFIG}]}"
    (run,) = suite_of(tmp_path, text, out=tmp_path / "out").runs()
    make_trained(run)
    make_validated(run, {"gt/AP": 0.5})
    assert state_of(run).detail == "validated without gt/NME"
    make_validated(run, {"gt/AP": 0.5, "gt/NME": 0.1})
    assert state_of(run).progress == "finished"


def test_results_without_their_last_checkpoint_are_not_taken_for_a_new_run(suite: Suite, tmp_path: Path) -> None:
    suite = dataclasses.replace(suite, rows=suite.rows[2:3])
    (run,) = suite.runs()
    run.experiment.best.parent.mkdir(parents=True)
    run.experiment.best.touch()
    assert state_of(run).progress == "other"
    assert run_all(suite, program=["no program"]).failed == [run.name]
    assert run.experiment.best.exists()


def test_a_run_is_out_of_date_when_what_it_starts_from_was_trained_anew(suite: Suite) -> None:
    first, second = dataclasses.replace(suite, rows=suite.rows[2:3], seeds=(0, 1)).runs()
    train(first.config, ALONE)
    model = dataclasses.replace(second.config.model, init_from=str(first.experiment.best))
    second = dataclasses.replace(second, config=dataclasses.replace(second.config, model=model))
    train(second.config, ALONE)
    assert state_of(second).progress == "trained"
    later = (second.experiment.folder / "metrics.jsonl").stat().st_mtime + 1
    os.utime(first.experiment.best, (later, later))
    assert state_of(second).progress == "trained", "recalibration writes a checkpoint anew, but not its weights"
    os.utime(first.experiment.folder / "metrics.jsonl", (later, later))
    state = state_of(second)
    assert state.progress == "other"
    assert f"is older than {first.experiment.best}, from which it starts" in state.detail


def test_a_run_of_another_config_is_kept_unless_overwriting_is_asked_for(suite: Suite, tmp_path: Path) -> None:
    suite = dataclasses.replace(suite, rows=suite.rows[2:3])
    (run,) = suite.runs()
    train(dataclasses.replace(run.config, train=dataclasses.replace(run.config.train, batch_size=4)), ALONE)
    written = run.experiment.last.stat().st_mtime_ns
    assert run_all(suite, program=["no program"]).failed == [run.name]
    assert run.experiment.last.stat().st_mtime_ns == written
    # Two scripts that tell how they were called.
    for script in ("train.py", "validate.py"):
        (tmp_path / script).write_text("import sys; print(sys.argv)")
    run_all(suite, program=program_in(tmp_path), overwrite=True)
    assert "'--overwrite'" in (suite.out / "logs" / f"{run.name}.log").read_text()


def test_the_last_validation_alone_gets_the_options_that_are_for_it(tmp_path: Path) -> None:
    text = "{validate_set: [data.val_images=val], rows: [{name: a, cfg: CONFIG}]}"
    suite = suite_of(tmp_path, text, out=tmp_path / "out")
    for script in ("train.py", "validate.py"):
        (tmp_path / script).write_text("import sys; print(sys.argv)")
    run_all(suite, program=program_in(tmp_path))
    training, validation = (tmp_path / "out" / "logs" / "a_seed0.log").read_text().splitlines()
    assert "data.val_images" not in training
    assert validation.endswith("best.pt', '--set', 'data.val_images=val']")
