"""What a run logs, and reading what runs have logged."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rlepose.config.config import Config
from rlepose.runtime.run_log import curve, log_to_file, read_history, setup_logging
from tests.training.running import trainer_of


def test_a_curve_has_the_lines_with_its_number_at_the_persons_seen() -> None:
    history = [{"step": 2, "persons": 8, "a": 1}, {"step": 3, "persons": 16, "a": None}, {"step": 4, "b": 5}]
    assert curve(history, "a", batch_size=10) == [(8, 1)]


def test_a_curve_of_an_old_run_counts_persons_by_its_steps() -> None:
    assert curve([{"step": 2, "a": 1}], "a", batch_size=10) == [(20, 1)]


def test_names_of_earlier_versions_are_read_as_todays(tmp_path: Path) -> None:
    line = {"step": 2, "images": 8, "epoch": 1.0, "train/images_per_second": 5.0}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert read_history(tmp_path) == [{"step": 2, "persons": 8, "epoch": 1.0, "train/persons_per_second": 5.0}]


@pytest.fixture
def _logging_of_a_run() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    setup_logging(is_main=True)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.usefixtures("_logging_of_a_run")
def test_a_missing_oks_constant_is_said_once_in_a_run(
    tiny_config: Callable[..., Config], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both files of a config lack it, and validation asks for it twice."""
    for split in ("train", "val"):
        source = Path(tiny_config().data.root) / "annotations" / f"person_keypoints_{split}.json"
        (tmp_path / f"{split}.json").write_text(source.read_text().replace("nose", "snout_tip"))
    files = [f"data.{split}_annotations={tmp_path / split}.json" for split in ("train", "val")]
    trainer_of(tiny_config(*files, f"data.cache_dir={tmp_path}"))
    log_to_file(tmp_path / "train.log")
    logging.getLogger("later").warning("no OKS constant, and no key")
    for text in (capsys.readouterr().out, (tmp_path / "train.log").read_text()):
        assert text.count("no OKS constant known for snout_tip") == 1
        assert text.count("no OKS constant, and no key") == 1
