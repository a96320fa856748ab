"""A comparison that is stopped and started again."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlepose.comparison.runs import Outcome, run_all
from rlepose.comparison.suite import load_suite
from rlepose.jobs.train import train
from rlepose.jobs.validate import validate_checkpoint
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import Ranks

ROOT = Path(__file__).parents[2]
ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.mark.faults
def test_a_row_that_was_stopped_ends_with_the_bits_and_numbers_of_one_that_was_not(
    tmp_path: Path,
    tiny_overrides: list[str],
    assert_same_bits: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    options = [*tiny_overrides, "loss.name=laplace", "model.backbone.name=test_resnet", "eval.pictures=0"]
    options += ["train.epochs=40", "train.validate_every=20"]
    tree = {
        "set": options,
        "validate_set": ["eval.flip_test=false"],
        "rows": [{"name": "a", "cfg": str(ROOT / "configs" / "synthetic_res18_rle.yaml")}],
    }
    (tmp_path / "suite.yaml").write_text(json.dumps(tree))
    straight, stopped = (load_suite(tmp_path / "suite.yaml", tmp_path / name) for name in ("straight", "stopped"))
    (run,), (ours,) = straight.runs(), stopped.runs()
    train(run.config, ALONE)
    best = run.experiment.best
    metrics = validate_checkpoint(
        best, run.validation, load_checkpoint(best), ["gt"], run.experiment.folder / "results", ALONE
    )

    def interrupt() -> None:
        numbers = ours.experiment.folder / "metrics.jsonl"
        while not (numbers.exists() and numbers.read_text()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    outcome = run_all(stopped, threads=1)
    assert [text.split(" of ")[-1] for text in outcome.interrupted] == ["40)"], outcome
    assert run_all(stopped, threads=1, records=tmp_path) == Outcome(finished=["a_seed0"])
    assert_same_bits(ours.experiment.folder, run.experiment.folder)
    record = json.loads((tmp_path / "suite" / "a_seed0.json").read_text())
    assert record["metrics"] == metrics
    assert len(record["trained"]) == 2
    assert record["losses"][-1][0] == 40
