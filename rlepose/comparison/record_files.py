"""Files of records: FOLDER/SUITE/ROW_seedN.json."""

import json
import logging
from pathlib import Path

from rlepose.comparison.recipe import changes, recipe_of
from rlepose.comparison.record import Record, Records
from rlepose.comparison.state import expected_metrics
from rlepose.comparison.suite import Run, Suite, run_name
from rlepose.evaluation.results import write_whole

log = logging.getLogger(__name__)

# Names in records of earlier versions, and their names now.
_FORMER_COSTS = {"train_images_per_second": "train_persons_per_second"}


def write_record(folder: Path, record: Record) -> None:
    """Write a record atomically, one key per line; replaces an earlier record of the run."""
    lines = (f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in record.items())
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_whole(_path(folder, record["suite"], run_name(record["row"], record["seed"])), text.encode())


def read_records(folder: Path, suite: Suite) -> Records:
    """Read the records of a suite's runs; skip those that do not match the current suite, with a warning."""
    found: dict[str, Record] = {}
    missing = {}
    files = {_path(folder, suite.name, run.name): run for run in suite.runs()}
    for path, run in files.items():
        if not path.exists():
            missing[run.name] = f"no record {path}"
            continue
        try:
            record = _with_names_of_today(json.loads(path.read_text(encoding="utf-8")))
            problem = _problem(suite, run, record)
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # whatever the file is
            problem = f"is not a record of a run ({type(error).__name__}: {error})"
        if problem is None:
            found[run.name] = record
        else:
            missing[run.name] = f"{path} {problem}"
            log.warning("skipped: %s %s", path, problem)
    others = sorted({path.name for path in (folder / suite.name).glob("*.json") if path not in files})
    if others:
        log.warning("skipped: %s, because these rows or seeds were not requested", ", ".join(others))
    return Records(found, missing)


def _with_names_of_today(record: Record) -> Record:
    cost = {_FORMER_COSTS.get(name, name): value for name, value in record["cost"].items()}
    return {**record, "cost": cost}


def _path(folder: Path, suite: str, run: str) -> Path:
    return folder / suite / f"{run}.json"


def _problem(suite: Suite, run: Run, record: Record) -> str | None:
    """Return why a record does not match this run; None if it does."""
    changed = changes(record, recipe_of(suite, run))
    if changed:
        return f"is of another config ({'; '.join(changed)})"
    missing = expected_metrics(run) - record["metrics"].keys()
    return f"lacks {', '.join(sorted(missing))}" if missing else None
