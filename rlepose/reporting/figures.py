"""Figures that only reports need."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlepose.evaluation.errors_by_type import ERROR_TYPES
from rlepose.pose.geometry import Floats
from rlepose.runtime.run_log import curve

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.figure import Figure

    from rlepose.reporting.measured import Measured

_TYPE_COLORS = ("#8fbf8f", "#f2d16b", "#d9742b", "#7d6bb5", "#a33b3b")


def learning_figures(experiments: Sequence["Measured"]) -> dict[str, "Figure"]:
    """Plot losses, metrics and learning rate against training persons; different losses in separate figures."""
    losses = dict.fromkeys(experiment.config.loss.name for experiment in experiments)
    figures = {
        f"loss ({loss})": _curves("train/loss", [e for e in experiments if e.config.loss.name == loss], experiments)
        for loss in losses
    }
    for label in dict.fromkeys(label for e in experiments for label in e.curves):
        shown = [e for e in experiments if label in e.curves]
        figures[label] = _curves(shown[0].curves[label], shown, experiments)
    figures["learning rate"] = _curves("train/lr", experiments, experiments)
    for label, figure in figures.items():
        figure.axes[0].set_ylabel(label)
    return figures


def _curves(name: str, shown: Sequence["Measured"], experiments: Sequence["Measured"]) -> "Figure":
    """Plot a metric of metrics.jsonl; an experiment has the same colour in all figures."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, MaxNLocator

    figure = Figure(figsize=(4, 3.2), layout="constrained")
    axes = figure.subplots()
    for experiment in shown:
        points = curve(experiment.history, name, experiment.config.train.batch_size)
        images, values = np.reshape(points, (-1, 2)).T
        marker = None if name.startswith("train/") else "o"  # since there is often only one point
        color = f"C{experiments.index(experiment) % 10}"
        axes.plot(images, values, marker=marker, markersize=4, linewidth=1.2, color=color, label=experiment.name)
    axes.set(xlabel="training persons", xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if name != "train/loss":
        axes.set_ylim(0, None)
    axes.legend(frameon=False, fontsize=8)
    return figure


def error_figure(errors: Mapping[str, Floats], limit: float) -> "Figure":
    """Plot the fraction of joints with an error of at most x, one curve per name; errors (N,) and limit in mm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    share = np.linspace(0, 1, 1001)
    for number, (name, values) in enumerate(errors.items()):
        axes.plot(np.quantile(values, share), share, linewidth=1.2, color=f"C{number % 10}", label=name)
    axes.axvline(limit, color="0.6", linewidth=1, linestyle=":")
    reach = max(limit, *(float(np.quantile(values, 0.99)) for values in errors.values()))
    axes.set(xlabel="error of a joint, mm", ylabel="fraction of joints", xlim=(0, reach), ylim=(0, 1))
    axes.legend(loc="lower right", frameon=False)
    return figure


def mistakes_figure(counts: NDArray[np.int64], joints: Sequence[str]) -> "Figure":
    """Plot the fraction of good joints and of each type of mistake, one bar per joint. counts (K, T)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 1.1 + 0.24 * len(joints)), layout="constrained")
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    left = np.zeros(len(joints))
    for number, (name, color) in enumerate(zip(ERROR_TYPES, _TYPE_COLORS, strict=True)):
        axes.barh(joints, share[:, number], left=left, color=color, label=name, height=0.8)
        left += share[:, number]
    axes.invert_yaxis()
    axes.set(xlabel="share of the joint's labels", xlim=(0, 1))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(ERROR_TYPES), frameon=False, fontsize=9)
    return figure
