"""What the finished runs of a suite gave: results.csv, results.md and plots."""

import csv
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rlepose.comparison.curves import curves_figure
from rlepose.comparison.state import state_of
from rlepose.comparison.suite import Row, Run, Suite, default_out
from rlepose.engine.checkpoint import results_folder
from rlepose.engine.logging import curve, read_history
from rlepose.engine.nme import read_nme
from rlepose.engine.validators import VALIDATORS
from rlepose.evaluation.mpjpe import METRICS as MPJPE_METRICS
from rlepose.models.cost import model_cost
from rlepose.plots import nme_figure, save_figure

# The columns, as far as a run has them; a name that ends in @ stands for one at each threshold.
METRICS = (
    *(f"det/{name}" for name in ("AP", "AP50", "AP75", "AR")),
    *(f"gt/{name}" for name in ("AP", "AP50", "AP75", "AR", "PCK@", "NME", "NME_AUC@", "NME_failures@")),
    *(f"gt/{name}" for name in ("NLL", "calibration_error")),
    *(f"gt/{name}" for name in ("pearson_confidence_OKS", "spearman_sigma_error")),
    *MPJPE_METRICS,
    "parameters_M",
    "multiply_adds_G",
    "train_images_per_second",
)

_SPEED = "train/images_per_second"

# Of each finished run, by its name.
Numbers = Mapping[str, Mapping[str, Any]]


def write_tables(suite: Suite) -> str:
    """Write results.csv (a line a run), results.md (a line a row) and results.png below `suite.out`, and nme_curves.png
    where runs have an NME; -> the text of results.md. Runs that are not finished are named, not counted."""
    runs = suite.runs()
    states = {run.name: state_of(run) for run in runs}
    finished = [run for run in runs if states[run.name].kind == "finished"]
    numbers = {run.name: {**(states[run.name].metrics or {}), **_cost(run)} for run in finished}
    names = _columns(list(numbers.values()))
    suite.out.mkdir(parents=True, exist_ok=True)
    with (suite.out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "seed", *names])
        writer.writerows([run.row.name, run.seed, *(numbers[run.name].get(name) for name in names)] for run in finished)
    missing = {run.name: states[run.name].detail for run in runs if run.name not in numbers}
    text = _markdown(suite, runs, numbers, missing, names)
    (suite.out / "results.md").write_text(text, encoding="utf-8")
    curves = {row.name: [_curve(run) for run in finished if run.row is row] for row in suite.rows}
    kinds = {VALIDATORS[run.config.data.format].selected_by for run in runs}
    drawn = {name: each for name, each in curves.items() if each}
    save_figure(suite.out / "results.png", curves_figure(drawn, " or ".join(sorted(kinds))))
    with_nme = [run for run in finished if "gt/NME" in numbers[run.name]]
    if with_nme:
        judged = {
            row.name: [read_nme(results_folder(run.experiment.best)) for run in with_nme if run.row is row]
            for row in suite.rows
        }
        save_figure(suite.out / "nme_curves.png", nme_figure({name: each for name, each in judged.items() if each}))
    return text


def _markdown(
    suite: Suite, runs: Sequence[Run], numbers: Numbers, missing: Mapping[str, str], names: Sequence[str]
) -> str:
    published = any(row.published for row in suite.rows)
    header = ["row", "config", "seeds", *names, *(["published"] if published else [])]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for row in suite.rows:
        finished = [run for run in runs if run.row is row and run.name in numbers]
        seeds = ", ".join(str(run.seed) for run in finished) or "–"
        cells = [_cell([numbers[run.name].get(name) for run in finished], _decimals(name)) for name in names]
        lines.append("| " + " | ".join([row.name, _config(row), seeds, *cells, *[row.published] * published]) + " |")
    command = f"python scripts/compare.py --suite {suite.path} --seeds {' '.join(map(str, suite.seeds))}"
    if suite.out != default_out(suite.path):
        command += f" --out {suite.out}"
    if suite.overrides:
        command += f" --set {shlex.join(suite.overrides)}"
    note = "Mean ± standard deviation where there are several seeds." + " Published AP is in percent." * published
    parts = [f"`{command}`", "\n".join(lines), note]
    if missing:
        parts.append("\n".join(["Not finished:", "", *(f"* {name}: {detail}" for name, detail in missing.items())]))
    return "\n\n".join(parts) + "\n"


def _columns(found: Sequence[Mapping[str, Any]]) -> list[str]:
    present = dict.fromkeys(name for metrics in found for name, value in metrics.items() if value is not None)
    return [name for wanted in METRICS for name in present if name == wanted or _at_threshold(name) == wanted]


def _at_threshold(name: str) -> str:
    """'gt/PCK@' of 'gt/PCK@0.2'."""
    return name[: name.find("@") + 1]


def _config(row: Row) -> str:
    return " ".join([row.cfg.name, *(f"`{text}`" for text in row.overrides)]).replace("|", "\\|")


def _cost(run: Run) -> dict[str, float]:
    """Of the network, where the config tells its joints, and the median speed of training, validation not counted."""
    speeds = [entry[_SPEED] for entry in read_history(run.experiment.folder) if _SPEED in entry]
    cost = {"train_images_per_second": statistics.median(speeds)} if speeds else {}
    if run.config.data.num_keypoints is not None:
        network = model_cost(run.config)
        cost |= {"parameters_M": network.parameters / 1e6, "multiply_adds_G": network.multiply_adds / 1e9}
    return cost


def _decimals(name: str) -> int:
    return 4 if name == "gt/NME" else 3  # papers give NME in percent, with two decimals


def _cell(values: Sequence[float | None], decimals: int) -> str:
    """'0.123 ± 0.004'; a dash where a run has no such number."""
    numbers = [value for value in values if value is not None]
    if not numbers or len(numbers) < len(values):
        return "–"
    mean = f"{statistics.fmean(numbers):.{decimals}f}"
    return mean if len(numbers) == 1 else f"{mean} ± {statistics.stdev(numbers):.{decimals}f}"


def _curve(run: Run) -> list[tuple[int, float]]:
    """(training images seen, the number that chooses the best) of each validation during training."""
    name = VALIDATORS[run.config.data.format].selected_by
    return curve(read_history(run.experiment.folder), name, run.config.train.batch_size)
