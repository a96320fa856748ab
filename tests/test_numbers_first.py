"""A full disk at the end costs files, but no numbers: they are printed before the first file is written."""

import dataclasses
import errno
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlepose.comparison.record import Records
from rlepose.comparison.suite import load_suite
from rlepose.comparison.table import write_tables
from rlepose.errors import run_script
from rlepose.evaluation.results import write_json
from rlepose.jobs.recalibrate import recalibrate_checkpoint
from rlepose.jobs.validate import validate_checkpoint
from rlepose.reporting.measure import measure_all
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.checkpoint_file import card_path
from tests.training.running import ALONE

ROOT = Path(__file__).parents[1]


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(autouse=True)
def _told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_validation_prints_its_numbers_first(
    checkpoint: Callable[..., Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        validate_checkpoint(path, loaded.config, loaded, ["gt"], tmp_path / "results", ALONE, calibration=True)
    assert "boxes      AP" in caplog.text
    assert "calibration_error" in caplog.text and "NLL" in caplog.text
    assert list((tmp_path / "results").iterdir()) == []


def test_metrics_are_written_before_large_files(
    checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    monkeypatch.setattr("rlepose.validation.coco_evaluator.write_results", full)
    with pytest.raises(OSError, match="No space left"):
        validate_checkpoint(path, loaded.config, loaded, ["gt"], tmp_path / "results", ALONE)
    assert "gt/AP" in json.loads((tmp_path / "results" / "metrics.json").read_text())
    assert not (tmp_path / "results" / "validation.json").exists(), "it would say that all is complete"


def test_a_model_card_that_cannot_be_written_ends_nothing(
    checkpoint: Callable[..., Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    card_path(path).write_text("# Model card\n", encoding="utf-8")
    whole, text = Path.write_bytes, Path.write_text

    def elsewhere(write: Callable[..., int]) -> Callable[..., int]:
        return lambda file, *given, **more: (full if file.parent == tmp_path else write)(file, *given, **more)

    monkeypatch.setattr(Path, "write_bytes", elsewhere(whole))
    monkeypatch.setattr(Path, "write_text", elsewhere(text))
    validate_checkpoint(path, loaded.config, loaded, ["gt"], tmp_path / "results", ALONE, calibration=True)
    assert f"{card_path(path)}: stays as it is, without the calibration" in caplog.text
    assert (tmp_path / "results" / "validation.json").exists()


def test_recalibration_prints_its_numbers_first(
    checkpoint: Callable[..., Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    monkeypatch.setattr("rlepose.jobs.recalibrate.save_checkpoint", full)
    with pytest.raises(OSError, match="No space left"):
        recalibrate_checkpoint(path, loaded.config, loaded, "joint_scale", path, tmp_path, ALONE)
    assert "evaluated on" in caplog.text and "calibration_error" in caplog.text


def test_a_report_prints_the_numbers_of_each_experiment(
    checkpoint: Callable[..., Path], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "one" / "checkpoints").mkdir(parents=True)
    checkpoint().rename(tmp_path / "one" / "checkpoints" / "best.pt")
    measure_all([tmp_path / "one"], pictures=0)
    assert "one: metrics\n" in caplog.text and "boxes      AP" in caplog.text


def test_a_comparison_prints_its_table_first(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(f"rows: [{{cfg: {ROOT / 'configs' / 'synthetic_res18_rle.yaml'}}}]")
    suite = load_suite(tmp_path / "suite.yaml")
    (tmp_path / "file").touch()
    unwritable = dataclasses.replace(suite, out=tmp_path / "file")
    with pytest.raises(OSError, match="File exists"):
        write_tables(unwritable, Records({}, {"synthetic_res18_rle_seed0": "not begun"}))
    assert "* synthetic_res18_rle_seed0: not begun" in capsys.readouterr().out


def test_a_full_disk_is_told_in_one_sentence_and_leaves_no_part(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def half(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:1])
        full()

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(SystemExit) as end:
        run_script(lambda: write_json(tmp_path / "a.json", {}))
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: cannot write a file (No space left on device); free some space")
    assert list(tmp_path.iterdir()) == []
