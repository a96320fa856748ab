"""Report of the density study: Markdown tables, and all numbers as JSON."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from rlepose.drawing.plots import save_figure
from rlepose.study.cases import losses_and_noises
from rlepose.study.density import BATCH_SIZE, LEARNING_RATE, Result
from rlepose.study.density_figures import curve_figure, density_figure

FLOW_RESIDUALS = ("dle", "rle original", "rle paper")  # the losses whose flow learns the residual's density
COMPARED_STEPS = (250, 500, 1000)

# The name of a row and, for each column, its values for all seeds.
Row = tuple[str, list[list[float]]]


def write_report(folder: Path, results: Sequence[Result]) -> str:
    """Write table.md, results.json, density.png and curves.png; return the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = all_tables(results)
    (folder / "table.md").write_text(tables, encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(numbers(results), indent=1), encoding="utf-8")
    save_figure(folder / "density.png", density_figure(results))
    save_figure(folder / "curves.png", curve_figure(results))
    return tables


def numbers(results: Sequence[Result]) -> dict[str, Any]:
    """Return everything except the densities in figures, in plain types; units as in Result."""
    keys = ("steps", "excess_nll", "mu_error", "mean_error", "sigma_error")
    return {
        "torch": torch.__version__,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "trainings": [vars(result.case) | {key: getattr(result, key) for key in keys} for result in results],
    }


def all_tables(results: Sequence[Result]) -> str:
    """Return Markdown tables: the final excess and errors, then the excess of the competing losses over training."""
    losses, noises = losses_and_noises(results)
    steps = results[0].steps
    seeds = len({result.case.seed for result in results})
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"

    def each_loss(value: Callable[[Result], float]) -> list[Row]:
        return [(loss, [_values(results, loss, noise, value) for noise in noises]) for loss in losses]

    way = [
        (f"{loss}, {step} steps", [_values(results, loss, noise, _excess_at(step)) for noise in noises])
        for loss in losses
        if loss in FLOW_RESIDUALS
        for step in steps
        if step in (*COMPARED_STEPS, steps[-1])
    ]
    tables = [
        (f"Excess NLL after {steps[-1]} steps, nats; {spread}", each_loss(lambda result: result.excess_nll[-1])),
        ("Error of mu, true standard deviations (root mean square)", each_loss(lambda result: result.mu_error)),
        (
            "Error of the predicted density's mean, true standard deviations (root mean square)",
            each_loss(lambda result: result.mean_error),
        ),
        (
            "Error of the predicted standard deviation, mean \\|log(predicted / true)\\|",
            each_loss(lambda result: result.sigma_error),
        ),
        ("Excess NLL along the way, nats", way),
    ]
    return "\n".join(_table(title, noises, rows) for title, rows in tables if rows)


def _excess_at(step: int) -> Callable[[Result], float]:
    return lambda result: result.excess_nll[result.steps.index(step)]


def _values(results: Iterable[Result], loss: str, noise: str, value: Callable[[Result], float]) -> list[float]:
    return [value(result) for result in results if (result.case.loss, result.case.noise) == (loss, noise)]


def _table(title: str, columns: Sequence[str], rows: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(["", *columns]) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += ["| " + " | ".join([name, *map(_mean_and_deviation, cells)]) + " |" for name, cells in rows]
    return f"**{title}**\n\n" + "\n".join(lines) + "\n"


def _mean_and_deviation(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"
