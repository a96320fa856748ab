"""A finished run as one piece of JSON: metrics, curves, and their origin. Tables need nothing else."""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rlepose.comparison.recipe import recipe_of
from rlepose.comparison.state import State, state_of
from rlepose.comparison.suite import Run, Suite
from rlepose.config.config import Config
from rlepose.models.cost import model_cost
from rlepose.runtime.experiment import results_folder
from rlepose.runtime.run_log import curve, read_history, read_json_lines
from rlepose.validation.nme_evaluator import read_nme
from rlepose.validation.validations import selecting_metric

Record = Mapping[str, Any]
_LOSS, _SPEED = "train/loss", "train/persons_per_second"


@dataclass(frozen=True)
class Records:
    """Records of a suite's runs, by run name. missing: the reason why there is none."""

    found: Mapping[str, Record]
    missing: Mapping[str, str]


def records_of_runs(suite: Suite) -> Records:
    """Return the records of finished runs in the runs' folders."""
    runs = suite.runs()
    states = [state_of(run) for run in runs]
    both = list(zip(runs, states, strict=True))
    return Records(
        found={run.name: record_of(suite, run, state) for run, state in both if state.progress == "finished"},
        missing={run.name: state.detail for run, state in both if state.progress != "finished"},
    )


def record_of(suite: Suite, run: Run, state: State) -> Record:
    """Return the record of a finished run, which depends only on its files.

    suite, row, seed
    metrics             of the last validation, by name
    cost                by name: of the network, if the config states its joints, and of the training without
                        validation: its seconds and the median persons per second
    nme                 if there is one: `reference`, the reference length, and the persons' `errors`, ascending, with
                        five decimals; else None
    selected_by         name of the metric that selected the checkpoint
    validations         [epoch, training persons seen, that metric] of each validation during training
    losses              [epoch, mean training loss]
    persons             number of persons for training, for validation during training (`selection`), and for the last
                        validation (`gt`, and `det` for detected boxes)
    trained, validated  origin of the results (runtime/origin.py); for training, at each start or resume
    options, …          see `recipe_of`
    """
    assert state.metrics is not None
    assert state.validation is not None
    folder, size = run.experiment.folder, run.config.train.batch_size
    history, starts = read_history(folder), read_json_lines(run.experiment.starts)
    selected_by = selecting_metric(run.config)
    persons = starts[-1]["persons"] if starts else {"training": None, "validation": None}
    return {
        "suite": suite.name,
        "row": run.row.name,
        "seed": run.seed,
        "metrics": state.metrics,
        "cost": _cost(run.config, history),
        "nme": _nme(results_folder(run.experiment.best)) if state.metrics.get("gt/NME") is not None else None,
        "selected_by": selected_by,
        "validations": [
            [round(line["epoch"]), *point] for line in history for point in curve([line], selected_by, size)
        ],
        "losses": _losses(history, size),
        "persons": {
            "training": persons["training"],
            "selection": persons["validation"],
            **state.validation["persons"],
        },
        "trained": [{name: value for name, value in start.items() if name != "persons"} for start in starts],
        "validated": state.validation["origin"],
        **recipe_of(suite, run),
    }


def _nme(results: Path) -> dict[str, Any]:
    judged = read_nme(results)
    return {"reference": judged.reference, "errors": sorted(round(error, 5) for error in judged.measured.tolist())}


def _losses(history: Sequence[dict[str, Any]], batch_size: int) -> list[tuple[int, float]]:
    """Return (epoch, mean loss) for entries with the mean since the previous entry."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0])
    before = 0
    for line in history:
        for persons, loss in curve([line], _LOSS, batch_size):
            of_epoch = sums[max(1, math.ceil(line["epoch"]))]
            of_epoch[0] += (persons - before) * loss
            of_epoch[1] += persons - before
            before = persons
    return [(epoch, total / persons) for epoch, (total, persons) in sums.items()]


def _cost(config: Config, history: Sequence[dict[str, Any]]) -> dict[str, float]:
    cost = {}
    speeds = curve(history, _SPEED, config.train.batch_size)
    if speeds:
        cost["train_persons_per_second"] = statistics.median(speed for _, speed in speeds)
        cost["train_seconds"] = sum(
            (persons - before) / speed for (before, _), (persons, speed) in pairwise([(0, 0.0), *speeds])
        )
    if config.data.num_keypoints is not None:
        network = model_cost(config)
        cost |= {"parameters_M": network.parameters / 1e6, "multiply_adds_G": network.multiply_adds / 1e9}
    return cost
