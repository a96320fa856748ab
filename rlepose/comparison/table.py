"""Tables of the finished runs of a suite: results.csv, results.md and plots."""

import csv
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlepose.comparison.curves import curves_figure
from rlepose.comparison.record import Record, Records
from rlepose.comparison.suite import Row, Run, Suite, default_out
from rlepose.drawing.plots import nme_figure, save_figure
from rlepose.evaluation.mpjpe import METRICS as MPJPE_METRICS
from rlepose.validation.validations import selecting_metric

# Default columns, as far as a run has them; a name that ends in @ stands for one column per threshold.
METRICS = (
    *(f"det/{name}" for name in ("AP", "AP50", "AP75", "AR")),
    *(f"gt/{name}" for name in ("AP", "AP50", "AP75", "AR", "PCK@", "NME", "NME_AUC@", "NME_failures@")),
    *(f"gt/{name}" for name in ("NLL", "calibration_error")),
    *(f"gt/{name}" for name in ("pearson_confidence_OKS", "spearman_sigma_error")),
    *MPJPE_METRICS,
    *("NLL", "calibration_error", "spearman_sigma_error"),
    "parameters_M",
    "multiply_adds_G",
    "train_persons_per_second",
)

# Metrics of each finished run, by run name.
Numbers = Mapping[str, Mapping[str, Any]]


def write_tables(suite: Suite, records: Records) -> str:
    """Print the table and then write it: results.csv (one line per run), results.md (one line per row) and results.png
    in `suite.out`, and nme_curves.png if runs have an NME; return the text of results.md. Runs without a record are
    listed, not averaged.
    """
    runs = suite.runs()
    finished = [run for run in runs if run.name in records.found]
    numbers = {run.name: _numbers(records.found[run.name]) for run in finished}
    known = list(dict.fromkeys(name for each in numbers.values() for name, value in each.items() if value is not None))
    names = _usual(known) if suite.columns is None else suite.columns
    text = _markdown(suite, runs, numbers, records.missing, names, known)
    print(text)
    suite.out.mkdir(parents=True, exist_ok=True)
    with (suite.out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "seed", *names])
        writer.writerows([run.row.name, run.seed, *(numbers[run.name].get(name) for name in names)] for run in finished)
    (suite.out / "results.md").write_text(text, encoding="utf-8")
    of_rows: dict[str, list[Record]] = {}
    for run in sorted(finished, key=lambda run: suite.rows.index(run.row)):
        of_rows.setdefault(run.row.name, []).append(records.found[run.name])
    metrics = " or ".join(sorted({selecting_metric(run.config) for run in runs}))
    curves = {row: [_curve(record) for record in some] for row, some in of_rows.items()}
    save_figure(suite.out / "results.png", curves_figure(curves, metrics))
    with_nme = {row: [record["nme"] for record in some if record["nme"]] for row, some in of_rows.items()}
    if any(with_nme.values()):
        errors = {row: [np.array(nme["errors"]) for nme in some] for row, some in with_nme.items() if some}
        references = [nme["reference"] for some in with_nme.values() for nme in some]
        save_figure(suite.out / "nme_curves.png", nme_figure(errors, references))
    return text


def _markdown(
    suite: Suite,
    runs: Sequence[Run],
    numbers: Numbers,
    missing: Mapping[str, str],
    names: Sequence[str],
    known: Sequence[str],
) -> str:
    published = any(row.published for row in suite.rows)
    header = ["row", "config", "seeds", *names, *(["published"] if published else [])]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for row in suite.rows:
        finished = [run for run in runs if run.row is row and run.name in numbers]
        seeds = ", ".join(str(run.seed) for run in finished) or "–"
        cells = [_cell([numbers[run.name].get(name) for run in finished], _decimals(name)) for name in names]
        lines.append("| " + " | ".join([row.name, _config(row), seeds, *cells, *[row.published] * published]) + " |")
    command = f"rlepose compare --suite {suite.path} --seeds {' '.join(map(str, suite.seeds))}"
    if suite.out != default_out(suite.path):
        command += f" --out {suite.out}"
    if suite.overrides:
        command += f" --set {shlex.join(suite.overrides)}"
    note = "Mean ± standard deviation for several seeds." + " Published AP is in percent." * published
    if suite.validate_overrides:
        note += f" Validated with `{shlex.join(suite.validate_overrides)}`."
    parts = [f"`{command}`", "\n".join(lines), note]
    unknown = [name for name in names if name not in known]
    if unknown and known:
        parts.append(f"No finished run has {', '.join(unknown)}; available: {', '.join(known)}.")
    if missing:
        parts.append("\n".join(["Not finished:", "", *(f"* {name}: {detail}" for name, detail in missing.items())]))
    return "\n\n".join(parts) + "\n"


def _numbers(record: Record) -> dict[str, Any]:
    return {**record["metrics"], **record["cost"]}


def _usual(known: Sequence[str]) -> list[str]:
    return [name for wanted in METRICS for name in known if name == wanted or _at_threshold(name) == wanted]


def _at_threshold(name: str) -> str:
    """Return 'gt/PCK@' for 'gt/PCK@0.2'."""
    return name[: name.find("@") + 1]


def _config(row: Row) -> str:
    validated = ["validated with", *(f"`{text}`" for text in row.validate_overrides)] if row.validate_overrides else []
    return " ".join([row.cfg.name, *(f"`{text}`" for text in row.overrides), *validated]).replace("|", "\\|")


def _decimals(name: str) -> int:
    return 4 if name == "gt/NME" else 3  # papers state NME in percent, with two decimals


def _cell(values: Sequence[float | None], decimals: int) -> str:
    """Return '0.123 ± 0.004', or a dash if a run lacks the metric."""
    numbers = [value for value in values if value is not None]
    if not numbers or len(numbers) < len(values):
        return "–"
    mean = f"{statistics.fmean(numbers):.{decimals}f}"
    return mean if len(numbers) == 1 else f"{mean} ± {statistics.stdev(numbers):.{decimals}f}"


def _curve(record: Record) -> list[tuple[int, float]]:
    """Return (training persons seen, the selecting metric) for each validation during training."""
    return [(images, value) for _, images, value in record["validations"]]
