"""Figures of the density study, with matplotlib."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlepose.study.cases import losses_and_noises
from rlepose.study.density import SNAPSHOT_AXIS, Result, snapshot_points
from rlepose.study.noise import NOISES

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN_LOSSES = ("gaussian", "laplace", "dle", "rle original", "rle paper", "basic")
_LEVELS = (0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # relative to the true density's maximum
_STYLES = {
    "l2": ("0.6", ":"),
    "l1": ("0.6", "--"),
    "gaussian": ("tab:orange", ":"),
    "laplace": ("tab:orange", "--"),
    "basic": ("tab:green", "-."),
    "dle": ("tab:blue", "-"),
    "rle original": ("tab:red", "-"),
    "rle paper": ("tab:purple", "-"),
}


def density_figure(results: Sequence[Result]) -> "Figure":
    """Plot one row per noise: the true density at one input, then the densities learned by DRAWN_LOSSES, seed 0.

    Axes are in true standard deviations from the true mean; all panels of a row share one colour scale.
    """
    from matplotlib.figure import Figure

    trained, noises = losses_and_noises(results)
    losses = [loss for loss in DRAWN_LOSSES if loss in trained]
    snapshots = {(r.case.loss, r.case.noise): r.snapshot for r in results if r.case.seed == 0}
    points = snapshot_points()
    columns = len(losses) + 1
    figure = Figure(figsize=(1.55 * columns + 0.4, 1.55 * len(noises) + 0.5), layout="constrained")
    panels = figure.subplots(len(noises), columns, sharex=True, sharey=True, squeeze=False)
    for row, noise in zip(panels, noises, strict=True):
        truth = NOISES[noise].log_prob(points).exp().view(len(SNAPSHOT_AXIS), -1).numpy()
        _contours(row[0], truth, float(truth.max()))
        row[0].set_ylabel(noise, fontsize=10)
        for panel, loss in zip(row[1:], losses, strict=True):
            snapshot = snapshots[loss, noise]
            _contours(panel, snapshot.density.numpy(), float(truth.max()))
            panel.plot(*snapshot.mu, marker="+", color="tab:red", markersize=8)
    for panel, title in zip(panels[0], ["truth", *losses], strict=True):
        panel.set_title(title, fontsize=10)
    figure.supxlabel(
        "target: true standard deviations from the true mean; + is the predicted mu; "
        "contours at 3, 10, 20, 40, 60, 80 and 100 % of the true maximum",
        fontsize=9,
    )
    return figure


def _contours(panel: "Axes", density: NDArray[np.float32], maximum: float) -> None:
    levels = [0.0, *(level * maximum for level in _LEVELS)]
    panel.contourf(SNAPSHOT_AXIS, SNAPSHOT_AXIS, density, levels=levels, extend="max", cmap="Blues")
    panel.set_aspect("equal")
    panel.set(xticks=(-2, 0, 2), yticks=(-2, 0, 2), xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
    panel.tick_params(labelsize=8)


def curve_figure(results: Sequence[Result]) -> "Figure":
    """Plot one panel per noise: excess NLL against the training step, mean over the seeds."""
    from matplotlib.figure import Figure

    losses, noises = losses_and_noises(results)
    columns = min(3, len(noises))
    rows = math.ceil(len(noises) / columns)
    figure = Figure(figsize=(3.2 * columns, 2.7 * rows + 0.7), layout="constrained")
    panels = np.ravel(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False))
    for panel, noise in zip(panels, noises, strict=False):
        for loss in losses:
            chosen = [result for result in results if (result.case.loss, result.case.noise) == (loss, noise)]
            color, line = _STYLES[loss]
            mean = np.mean([result.excess_nll for result in chosen], axis=0)
            panel.plot(chosen[0].steps, mean, line, color=color, label=loss, linewidth=1.5)
        panel.set_title(noise, fontsize=10)
        panel.set(xscale="log", yscale="log")
        panel.set(xticks=chosen[0].steps, xticklabels=chosen[0].steps)
        panel.set(yticks=(0.01, 0.03, 0.1, 0.3, 1, 3), yticklabels=("0.01", "0.03", "0.1", "0.3", "1", "3"))
        panel.minorticks_off()
        panel.tick_params(labelsize=8)
        panel.grid(color="0.9")
    for panel in panels[len(noises) :]:
        panel.set_axis_off()
    figure.supxlabel("training step", fontsize=10)
    figure.supylabel("excess NLL, nats", fontsize=10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    return figure
