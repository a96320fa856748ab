"""How far a run is, by what it left on disk."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlepose.comparison.suite import Run
from rlepose.config import Config
from rlepose.engine.checkpoint import load_checkpoint, newest_whole, results_folder
from rlepose.engine.run_state import differences
from rlepose.engine.validators import VALIDATORS
from rlepose.errors import InputError

# Options that change where or how fast a run computes, but not what.
_WITHOUT_EFFECT = ("output_dir:", "system.workers:", "train.log_every:")


@dataclass(frozen=True)
class State:
    """kind: how far a run is. 'other': its folder holds a run of another config. detail: the same in words.

    metrics: of the validation of its best checkpoint, where it is finished.
    """

    kind: Literal["new", "interrupted", "trained", "finished", "other"]
    detail: str
    metrics: dict[str, Any] | None = None


def state_of(run: Run) -> State:
    """By the last checkpoint's config and progress, and by a metrics.json that is younger than the best checkpoint."""
    experiment, epochs = run.experiment, run.config.train.epochs
    if not experiment.has_checkpoint():
        if experiment.has_results():
            return State(
                "other", f"{experiment.folder} holds results, but no last.pt to tell whether they are finished"
            )
        return State("new", "not begun")
    try:
        checkpoint = load_checkpoint(newest_whole((experiment.last, experiment.previous)), whole=True)
    except InputError as error:
        return State("other", str(error))
    changed = [
        line
        for line in differences(checkpoint.config.to_dict(), run.config.to_dict())
        if not line.startswith(_WITHOUT_EFFECT)
    ]
    if changed:
        return State("other", f"{experiment.folder} holds a run of another config ({'; '.join(changed)})")
    start = run.config.model.init_from
    if start is not None and _last_trained(Path(start).parent.parent) > _last_trained(experiment.folder):
        return State("other", f"{experiment.folder} is older than {start}, which it starts from")
    epoch = checkpoint.progress["epoch"]
    if epoch < epochs or checkpoint.progress["validated"] < epochs or not experiment.best.exists():
        return State("interrupted", f"stopped after epoch {epoch} of {epochs}")
    metrics = _validation(run)
    if metrics is None:
        return State("trained", "not validated")
    return State("finished", "finished", metrics)


def _last_trained(folder: Path) -> float:
    """When training last wrote a number there, s; recalibration writes a checkpoint anew, but no number."""
    numbers = folder / "metrics.jsonl"
    return numbers.stat().st_mtime if numbers.exists() else 0.0


def _validation(run: Run) -> dict[str, Any] | None:
    """What validate.py wrote of the best checkpoint; None where it did not, or left something out."""
    best = run.experiment.best
    file = results_folder(best) / "metrics.json"
    if not file.exists() or file.stat().st_mtime < best.stat().st_mtime:
        return None
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        return None  # cut off
    return metrics if _expected(run.config, run.row.calibration) <= metrics.keys() else None


def _expected(config: Config, calibration: bool) -> set[str]:
    return (
        {VALIDATORS[config.data.format].selected_by}
        | ({"det/AP"} if config.data.detections else set())
        | ({"gt/NLL"} if calibration else set())
        | ({"gt/NME"} if config.eval.nme_reference is not None else set())
    )
