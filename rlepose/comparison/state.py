"""The progress of a run, according to its files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlepose.comparison.suite import Run
from rlepose.config.config import Config
from rlepose.config.names import differences
from rlepose.config.reading import config_from_dict
from rlepose.config.tree import without_other_variants
from rlepose.errors import InputError
from rlepose.jobs.validate import METRICS_FILE, VALIDATION_FILE
from rlepose.models.options import TopDownModelConfig
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.checkpoint_file import newest_whole
from rlepose.runtime.experiment import results_folder
from rlepose.validation.validations import calibration_name, default_selection

# Options that change where or how fast a run computes, but not its result.
WITHOUT_EFFECT = ("output_dir", "system.workers", "train.log_every")


@dataclass(frozen=True)
class State:
    """progress: of the run; 'other' if its folder contains a run of another config. detail: the same in words.

    metrics, validation: output of the validation of its best checkpoint, if it is finished.
    """

    progress: Literal["new", "interrupted", "trained", "finished", "other"]
    detail: str
    metrics: dict[str, Any] | None = None
    validation: dict[str, Any] | None = None


def state_of(run: Run) -> State:
    """Determine the state from the last checkpoint's config and progress, and a newer validation of the best one."""
    experiment, epochs = run.experiment, run.config.train.epochs
    if not experiment.has_checkpoint():
        if experiment.has_results():
            return State(
                "other", f"{experiment.folder} contains results, but no last.pt that shows whether training finished"
            )
        return State("new", "not begun")
    try:
        checkpoint = load_checkpoint(newest_whole((experiment.last, experiment.previous)), whole=True)
    except InputError as error:
        return State("other", str(error))
    changed = _changed(checkpoint.config, run.config)
    if changed:
        return State("other", f"{experiment.folder} contains a run of another config ({'; '.join(changed)})")
    model = run.config.model
    start = model.init_from if isinstance(model, TopDownModelConfig) else None
    if start is not None and _last_trained(Path(start).parent.parent) > _last_trained(experiment.folder):
        return State("other", f"{experiment.folder} is older than {start}, from which it starts")
    epoch = checkpoint.progress["epoch"]
    if epoch < epochs or checkpoint.progress["validated"] < epochs or not experiment.best.exists():
        return State("interrupted", f"stopped after epoch {epoch} of {epochs}")
    return _validated(run)


def expected_metrics(run: Run) -> set[str]:
    """Return the metric names that a finished run has at least."""
    config = run.validation
    return (
        {default_selection(config)}
        | ({"det/AP"} if config.data.detections else set())
        | ({calibration_name(config, "NLL")} if run.row.calibration else set())
        | ({"gt/NME"} if config.eval.nme_reference is not None else set())
    )


def _last_trained(folder: Path) -> float:
    """Return when training last logged a metric, s; recalibration rewrites a checkpoint, but logs none."""
    numbers = folder / "metrics.jsonl"
    return numbers.stat().st_mtime if numbers.exists() else 0.0


def _validated(run: Run) -> State:
    """Return the state of a trained run, from the output of the validation of its best checkpoint."""
    best = run.experiment.best
    results = results_folder(best)
    about = results / VALIDATION_FILE
    metrics, validation = _read(results / METRICS_FILE), _read(about)
    if metrics is None or validation is None or about.stat().st_mtime < best.stat().st_mtime:
        return State("trained", "not validated")
    try:
        validated = config_from_dict(without_other_variants(validation["config"]), source=str(about))
    except InputError as error:
        return State("trained", f"validated by another version of rlepose ({error})")
    changed = _changed(validated, run.validation)
    if changed:
        return State("trained", f"validated with other options ({'; '.join(changed)})")
    missing = expected_metrics(run) - metrics.keys()
    if missing:
        return State("trained", f"validated without {', '.join(sorted(missing))}")
    return State("finished", "finished", metrics, validation)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):  # missing or truncated
        return None


def _changed(old: Config, new: Config) -> list[str]:
    """Return 'train.epochs: 20 -> 30' for each option with an effect that differs."""
    lines = differences(old, new)
    return [line for line in lines if not line.startswith(tuple(f"{name}:" for name in WITHOUT_EFFECT))]
