"""Records of finished runs: what stands in them, when they count, and the tables that are made of them."""

import csv
import dataclasses
import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlepose.comparison.record import Records, records_of_runs
from rlepose.comparison.record_files import read_records, write_record
from rlepose.comparison.suite import Suite
from rlepose.comparison.table import write_tables
from rlepose.models.cost import model_cost
from tests.comparison.made_runs import make_trained, make_validated, suite_of

SUITE = """
seeds: [0, 1]
set: [train.epochs=2, data.num_keypoints=17]
validate_set: [data.val_annotations=other.json]
rows:
  - {name: a, cfg: CONFIG}
  - {name: b, cfg: CONFIG, after: a, set: ["model.init_from={after}", train.batch_size=8]}
"""
# Two epochs of 20 images; the last entry of an epoch stands for fewer steps than the others.
HISTORY = [
    {"step": 1, "persons": 15, "epoch": 0.75, "train/loss": 3.0, "train/persons_per_second": 10.0},
    {"step": 2, "persons": 20, "epoch": 1.0, "train/loss": 1.0, "train/persons_per_second": 5.0},
    {"step": 2, "persons": 20, "epoch": 1.0, "gt/AP": 0.25},
    {"step": 4, "persons": 40, "epoch": 2.0, "train/loss": 0.5, "train/persons_per_second": 20.0},
    {"step": 4, "persons": 40, "epoch": 2.0, "gt/AP": 0.5},
]


def finished(folder: Path, text: str = SUITE, **changes: Any) -> Suite:
    """A suite whose runs are all finished, each with its own numbers."""
    suite = suite_of(folder, text, out=folder / "out", **changes)
    for number, run in enumerate(suite.runs()):
        make_trained(run, HISTORY)
        make_validated(run, {"gt/AP": 0.1 * number, "gt/PCK@0.5": 1, "gt/PCK@0.2": None, "gt/NME": 0.05})
    return suite


def recorded(suite: Suite, folder: Path) -> None:
    for record in records_of_runs(suite).found.values():
        write_record(folder, record)


def test_a_record_holds_the_numbers_the_curves_and_what_they_come_from(tmp_path: Path) -> None:
    suite = finished(tmp_path)
    recorded(suite, tmp_path / "records")
    text = (tmp_path / "records" / "mine" / "b_seed1.json").read_text()
    assert str(tmp_path) not in text, "where folders lie is nobody's business"
    record = json.loads(text)
    assert (record["suite"], record["row"], record["seed"]) == ("mine", "b", 1)
    assert record["metrics"]["gt/AP"] == pytest.approx(0.3)
    assert record["nme"] == {"reference": "the box", "errors": [0.04, 0.05]}
    assert record["selected_by"] == "gt/AP"
    assert record["validations"] == [[1, 20, 0.25], [2, 40, 0.5]]
    assert record["losses"] == [[1, 2.5], [2, 0.5]]
    assert record["cost"]["train_seconds"] == pytest.approx(1.5 + 1 + 1)
    assert record["cost"]["train_persons_per_second"] == 10
    assert record["persons"] == {"training": 24, "selection": 12, "gt": 7}
    assert record["options"]["train.batch_size"] == 8
    assert record["options"]["train.seed"] == 1
    assert record["options"]["model.init_from"] == "{after}"
    assert record["other_options"]["eval.flip_test"] is True
    assert record["starts_from"]["options"]["train.batch_size"] != 8
    assert record["validate_options"] == {"data.val_annotations": "other.json"}
    assert [start["commit"] for start in record["trained"]] == ["abc"]
    assert record["validated"]["device"] == "a CPU"


def test_tables_of_records_are_those_of_the_runs(tmp_path: Path) -> None:
    suite = finished(tmp_path)
    text = write_tables(suite, records_of_runs(suite))
    names = ("results.md", "results.csv", "results.png", "nme_curves.png")
    files = {name: (suite.out / name).read_bytes() for name in names}
    recorded(suite, tmp_path / "records")
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    assert write_tables(suite, read_records(tmp_path / "records", suite)) == text
    assert files == {name: (suite.out / name).read_bytes() for name in files}


def test_the_command_records_what_is_finished_and_tabulates_records(
    tmp_path: Path, run_script: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    suite = finished(tmp_path, seeds=[0])
    command = "compare.py", "--suite", suite.path, "--seeds", 0
    result = run_script(*command, "--out", suite.out, "--table-only", "--record", tmp_path / "records")
    assert result.returncode == 0, result.stderr
    result = run_script(*command, "--out", tmp_path / "elsewhere", "--from-records", tmp_path / "records")
    assert result.returncode == 0, result.stderr
    assert "Not finished" not in result.stdout
    ours, theirs = ((folder / "results.csv").read_text() for folder in (tmp_path / "elsewhere", suite.out))
    assert ours == theirs


def test_a_run_is_recorded_again_in_place_of_its_earlier_record(tmp_path: Path) -> None:
    suite = finished(tmp_path, seeds=[0])
    recorded(suite, tmp_path)
    first = (tmp_path / "mine" / "a_seed0.json").read_text()
    recorded(suite, tmp_path)
    assert (tmp_path / "mine" / "a_seed0.json").read_text() == first
    make_validated(suite.runs()[0], {"gt/AP": 0.75})
    recorded(suite, tmp_path)
    assert read_records(tmp_path, suite).found["a_seed0"]["metrics"] == {"gt/AP": 0.75}


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        (
            "train.epochs=2",
            "train.epochs=3",
            {
                "a_seed0": "train.epochs: 2 -> 3",
                "b_seed0": "train.epochs: 2 -> 3; train.epochs: 2 -> 3 in the row that it starts from",
            },
        ),
        (
            "other.json",
            "third.json",
            dict.fromkeys(
                ("a_seed0", "b_seed0"), "data.val_annotations of the last validation: other.json -> third.json"
            ),
        ),
        (
            "{name: a, cfg: CONFIG}",
            "{name: a, cfg: CONFIG, set: [loss.name=l1]}",
            {
                "a_seed0": "loss.name: rle -> l1",
                "b_seed0": "loss.name: rle -> l1 in the row that it starts from",
            },
        ),
        (
            'after: a, set: ["model.init_from={after}", ',
            "set: [",
            {"b_seed0": "model.init_from: {after} -> None; only one of the two starts from another row"},
        ),
        ("train.batch_size=8", "train.batch_size=8, system.workers=0, train.log_every=7", {}),
    ],
)
def test_records_of_another_config_are_left_out_and_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str, reasons: dict[str, str]
) -> None:
    recorded(finished(tmp_path, seeds=[0]), tmp_path)
    assert old in SUITE
    with caplog.at_level(logging.WARNING):
        records = read_records(tmp_path, suite_of(tmp_path, SUITE.replace(old, new), seeds=[0]))
    files = {name: tmp_path / "mine" / f"{name}.json" for name in reasons}
    expected = {name: f"{files[name]} is of another config ({reason})" for name, reason in reasons.items()}
    assert records.missing == expected
    assert caplog.messages == [f"skipped: {message}" for message in expected.values()]


def test_options_that_only_one_version_knows_count_where_they_are_not_the_default(tmp_path: Path) -> None:
    suite = finished(tmp_path, seeds=[0])
    found = records_of_runs(suite).found["a_seed0"]
    older = {name: value for name, value in found["other_options"].items() if name != "eval.flip_test"}
    write_record(tmp_path, {**found, "other_options": {**older, "data.given_up": 3}})
    assert "a_seed0" in read_records(tmp_path, suite).found
    write_record(tmp_path, {**found, "options": {**found["options"], "data.given_up": 3}})
    reason = read_records(tmp_path, suite).missing["a_seed0"]
    assert "data.given_up: 3 -> no such option" in reason
    changed_default = {**found["other_options"], "eval.flip_test": False}
    write_record(tmp_path, {**found, "other_options": changed_default})
    assert "eval.flip_test: False -> True" in read_records(tmp_path, suite).missing["a_seed0"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"options": 1}'])
def test_a_file_that_is_no_record_is_left_out(tmp_path: Path, text: str) -> None:
    suite = finished(tmp_path, seeds=[0])
    recorded(suite, tmp_path)
    (tmp_path / "mine" / "a_seed0.json").write_text(text)
    records = read_records(tmp_path, suite)
    assert set(records.found) == {"b_seed0"}
    assert "is not a record of a run" in records.missing["a_seed0"]


def test_a_record_without_a_number_that_the_suite_wants_now_is_left_out(tmp_path: Path) -> None:
    recorded(finished(tmp_path, seeds=[0]), tmp_path)
    records = read_records(tmp_path, suite_of(tmp_path, f"calibration: true\n{SUITE}", seeds=[0]))
    assert records.missing["a_seed0"].endswith("a_seed0.json lacks gt/NLL")


def test_a_cost_of_an_earlier_version_gets_its_name_of_today(tmp_path: Path) -> None:
    suite = finished(tmp_path, seeds=[0])
    found = records_of_runs(suite).found["a_seed0"]
    cost = {name.replace("persons", "images"): value for name, value in found["cost"].items()}
    assert cost != found["cost"]
    write_record(tmp_path, {**found, "cost": cost})
    assert read_records(tmp_path, suite).found["a_seed0"]["cost"] == found["cost"]


def test_records_that_nobody_asked_for_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorded(finished(tmp_path), tmp_path)
    with caplog.at_level(logging.WARNING):
        records = read_records(tmp_path, suite_of(tmp_path, SUITE, seeds=[1, 2]))
    assert set(records.found) == {"a_seed1", "b_seed1"}
    assert records.missing["a_seed2"].startswith("no record ")
    assert "skipped: a_seed0.json, b_seed0.json, because" in caplog.text


def test_the_mean_and_deviation_over_seeds_are_tabulated(tmp_path: Path) -> None:
    (tmp_path / "papers.md").write_text("| id | AP |\n|---|---|\n| `one` | 12.3 |\n")
    text = """
        set: [data.num_keypoints=17]
        rows: [{name: a, cfg: CONFIG, published: papers.md#one}]
    """
    suite = finished(tmp_path, text, seeds=[0, 1, 2])
    text = write_tables(suite, records_of_runs(suite))
    costs = ("parameters_M", "multiply_adds_G", "train_persons_per_second")
    assert f"| seeds | gt/AP | gt/PCK@0.5 | gt/NME | {' | '.join(costs)} | published |" in text
    assert f"--seeds 0 1 2 --out {suite.out}`" in text
    parameters = model_cost(suite.runs()[0].config).parameters / 1e6
    assert f"| 0, 1, 2 | 0.100 ± 0.100 | 1.000 ± 0.000 | 0.0500 ± 0.0000 | {parameters:.3f} ± 0.000 | " in text
    assert " | AP 12.3 |" in text
    assert "Not finished" not in text


def test_a_suite_names_its_columns_in_their_order(tmp_path: Path) -> None:
    suite = finished(tmp_path, f"columns: [train_seconds, gt/NME, gt/nonsense]\n{SUITE}")
    text = write_tables(suite, records_of_runs(suite))
    assert "| seeds | train_seconds | gt/NME | gt/nonsense |\n" in text
    assert "| 0, 1 | 3.500 ± 0.000 | 0.0500 ± 0.0000 | – |\n" in text
    assert "No finished run has gt/nonsense; available: gt/AP, gt/PCK@0.5, gt/NME, train_persons_per_second, " in text
    assert "Validated with `data.val_annotations=other.json`." in text
    with (suite.out / "results.csv").open() as file:
        assert next(csv.reader(file)) == ["row", "seed", "train_seconds", "gt/NME", "gt/nonsense"]


def test_a_plot_of_nme_is_made_only_of_runs_that_have_one(tmp_path: Path) -> None:
    suite = finished(tmp_path, seeds=[0])
    first, second = suite.runs()
    make_validated(first, {"gt/AP": 0.5, "gt/NME": None})
    assert "| – |" in write_tables(suite, records_of_runs(suite))
    assert (suite.out / "nme_curves.png").exists()
    make_validated(second, {"gt/AP": 0.5})
    (suite.out / "nme_curves.png").unlink()
    write_tables(suite, records_of_runs(suite))
    assert not (suite.out / "nme_curves.png").exists()


def test_without_a_finished_run_no_column_is_called_unknown(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, f"columns: [gt/AP]\n{SUITE}", out=tmp_path / "out")
    missing = {run.name: "not begun" for run in suite.runs()}
    text = write_tables(suite, Records({}, missing))
    assert "| – | – |\n" in text
    assert "No finished run has" not in text


def test_runs_from_before_their_origin_was_noted_are_recorded(tmp_path: Path) -> None:
    suite = finished(tmp_path, seeds=[0])
    run = suite.runs()[0]
    run.experiment.starts.unlink()
    record = records_of_runs(dataclasses.replace(suite, rows=suite.rows[:1])).found["a_seed0"]
    assert record["trained"] == []
    assert record["persons"]["training"] is None
