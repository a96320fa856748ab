"""Reading what runs have logged."""

import json
from pathlib import Path

from rlepose.runtime.run_log import curve, read_history


def test_a_curve_has_the_lines_with_its_number_at_the_persons_seen() -> None:
    history = [{"step": 2, "persons": 8, "a": 1}, {"step": 3, "persons": 16, "a": None}, {"step": 4, "b": 5}]
    assert curve(history, "a", batch_size=10) == [(8, 1)]


def test_a_curve_of_an_old_run_counts_persons_by_its_steps() -> None:
    assert curve([{"step": 2, "a": 1}], "a", batch_size=10) == [(20, 1)]


def test_names_of_earlier_versions_are_read_as_todays(tmp_path: Path) -> None:
    line = {"step": 2, "images": 8, "epoch": 1.0, "train/images_per_second": 5.0}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert read_history(tmp_path) == [{"step": 2, "persons": 8, "epoch": 1.0, "train/persons_per_second": 5.0}]
