"""Figures of uncertainty, with matplotlib."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rlepose.evaluation.calibration import LEVELS, Observations, calibration_error, coverage
from rlepose.evaluation.nme import NME_THRESHOLDS, cumulative_curve
from rlepose.losses import LocationScale
from rlepose.losses.pose_density import PoseDensity
from rlepose.pose.geometry import Floats

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.figure import Figure

    from rlepose.drawing.overlays import Picture

_COLUMNS = 5


def save_figure(path: Path, figure: "Figure") -> None:
    """Save a figure in the format of the file's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, bbox_inches="tight")


def reliability_figure(curves: Mapping[str, Observations]) -> "Figure":
    """Plot the fraction of labels inside highest-density regions against their probability; the diagonal is perfect."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4.5))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    for name, observations in curves.items():
        error = calibration_error(observations.level)
        axes.plot(LEVELS, coverage(observations.level), marker="o", label=f"{name}: mean error {error:.3f}")
    axes.set(xlabel="predicted probability of the region", ylabel="fraction of labels inside", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="lower right", frameon=False)
    return figure


def risk_coverage_figure(reports: Mapping[str, Mapping[str, Any]], risk: str) -> "Figure":
    """Plot the mean risk of the persons that remain when the least confident are removed, one curve per report.

    risk: name of the risk, for the axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4.5))
    axes = figure.subplots()
    for number, (name, report) in enumerate(reports.items()):
        overall, curve, color = report["overall"], report["risk_coverage"], f"C{number % 10}"
        areas = f"area {overall['AURC']:.3g}, best possible {overall['AURC_best']:.3g}"
        axes.plot(curve["coverage"], curve["risk"], color=color, label=f"{name}: {areas}")
        axes.axhline(overall["risk"], color=color, linewidth=1, linestyle=":")
    axes.set(
        xlabel="fraction of persons kept, most confident first",
        ylabel=f"mean risk: {risk}",
        xlim=(0, 1),
        ylim=(0, None),
    )
    axes.set_title("dotted: random order", fontsize=10)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False)
    return figure


def nme_figure(errors: Mapping[str, Sequence[Floats]], references: Iterable[str]) -> "Figure":
    """Plot the fraction of persons whose NME is at most x: one colour per name, one line per run. Dotted: AUC limits.

    errors: NME of persons, (N,) per run, by name. references: the reference lengths, in words.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4.5))
    axes = figure.subplots()
    limit = max(
        [NME_THRESHOLDS[-1], *(float(np.quantile(run, 0.95)) for some in errors.values() for run in some if len(run))]
    )
    for number, (name, of_name) in enumerate(errors.items()):
        runs = [run for run in of_name if len(run)]
        label = f"{name}: NME {np.mean([run.mean() for run in runs]):.4f}" if runs else name
        for run in runs:
            x, share = cumulative_curve(run)
            x, share = np.concatenate([[0], x, [max(limit, x[-1])]]), np.concatenate([[0], share, [1]])
            axes.plot(x, share, drawstyle="steps-post", linewidth=1.2, color=f"C{number % 10}", label=label)
            label = "_"  # one legend entry for all runs
    for threshold in NME_THRESHOLDS:
        axes.axvline(threshold, color="0.6", linewidth=1, linestyle=":")
    relative_to = " or ".join(sorted(set(references)))
    axes.set(xlabel=f"NME, relative to\n{relative_to}", ylabel="fraction of persons", xlim=(0, limit), ylim=(0, 1))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), frameon=False)
    return figure


def density_figure(likelihood: LocationScale, observations: Observations, joints: Sequence[str]) -> "Figure":
    """Plot labels in sigmas around the prediction, and the learned density.

    In 2-D, for each joint, with contours that contain 10, 50 and 90 % of the density, and should contain as many of the
    points. In 3-D, for each coordinate, over all joints.
    """
    from matplotlib.figure import Figure

    if likelihood.dims == 3:
        return _marginals_figure(likelihood, observations)

    present = [joint for joint in range(len(joints)) if (observations.joint == joint).any()]
    rows = -(-len(present) // _COLUMNS)
    figure = Figure(figsize=(2.6 * _COLUMNS, 2.7 * rows), layout="constrained")
    panels = np.ravel(figure.subplots(rows, _COLUMNS, squeeze=False))
    reach = float(np.quantile(np.abs(observations.residual), 0.98))
    axis = np.linspace(-reach, reach, 121)
    x, y = np.meshgrid(axis, axis)
    grid = torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1)).float()
    everywhere = grid.repeat(likelihood.num_densities, 1)
    of_density = torch.arange(likelihood.num_densities).repeat_interleave(len(grid))
    zeros, ones = torch.zeros_like(everywhere), torch.ones_like(everywhere)
    levels = likelihood.region_level(zeros, ones, everywhere, of_density).view(-1, *x.shape).numpy()
    densities = likelihood.density_of(torch.arange(len(joints))).tolist()
    for panel, joint in zip(panels, present, strict=False):
        points = observations.of(joint).residual
        bins = np.linspace(-reach, reach, 41)
        panel.hist2d(points[:, 0], points[:, 1], bins=[bins, bins], cmap="Blues")
        panel.contour(x, y, levels[densities[joint]], levels=[0.1, 0.5, 0.9], colors="tab:red", linewidths=1)
        panel.set_title(joints[joint], fontsize=10)
        panel.set_aspect("equal")
        panel.invert_yaxis()  # y down, as in the picture
    for panel in panels[len(present) :]:
        panel.set_axis_off()
    figure.supxlabel("(label − mu) / sigma, x")
    figure.supylabel("(label − mu) / sigma, y")
    return figure


def _marginals_figure(likelihood: LocationScale, observations: Observations) -> "Figure":
    """Plot histograms of the residuals' three coordinates, and as lines the predictions of the joints' densities."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    density_of_joint = likelihood.density_of(torch.from_numpy(observations.joint))
    count = torch.bincount(density_of_joint, minlength=likelihood.num_densities).numpy()
    samples = likelihood.sample_densities().numpy()
    weights = np.repeat(count / samples.shape[1], samples.shape[1])
    reach = float(np.quantile(np.abs(observations.residual), 0.98))
    bins = np.linspace(-reach, reach, 61)
    for axis, (panel, name) in enumerate(zip(panels, ("x", "y", "depth"), strict=True)):
        labels = observations.residual[:, axis]
        panel.hist(labels, bins, weights=np.full(len(labels), 1 / len(labels)), color="C0", alpha=0.5, label="labels")
        predicted, _ = np.histogram(samples[..., axis], bins, weights=weights.reshape(samples.shape[:2]))
        panel.stairs(predicted / count.sum(), bins, color="tab:red", label="density")
        panel.set_xlabel(f"(label − mu) / sigma, {name}")
    panels[0].set_ylabel("fraction of labels")
    panels[0].legend(frameon=False)
    return figure


def joint_density_figure(pixels: "Picture", density: "PoseDensity", joint: int, name: str) -> "Figure":
    """Plot the density of a person's joint over the surrounding part of the picture, with axes in its pixels.

    The bands contain 10, 30, 50, 70 and 90 % of the density, the dashed line 99 %.
    """
    from matplotlib.figure import Figure

    x, y, levels = density.levels_on_grid(joint)
    rows_of_line, columns_of_line = np.nonzero(levels <= 0.99)
    line = np.stack([x[columns_of_line], y[rows_of_line]], axis=1)
    person = np.ptp(density.keypoints, axis=0).max()
    # Shows the whole line, and part of the person around a certain joint.
    reach = max(1.1 * np.abs(line - density.keypoints[joint]).max(), 0.15 * person, 4.0)
    left, top = density.keypoints[joint] - reach
    right, bottom = density.keypoints[joint] + reach
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("0.2")
    height, width = pixels.shape[:2]
    columns = slice(max(0, int(left)), min(width, int(right) + 2))
    rows = slice(max(0, int(top)), min(height, int(bottom) + 2))
    part = pixels[rows, columns]
    if part.size:  # empty if the joint is far outside the picture
        # Pixel centres are at integers.
        extent = (columns.start - 0.5, columns.stop - 0.5, rows.stop - 0.5, rows.start - 0.5)
        axes.imshow(part, extent=extent, interpolation="bilinear")
    axes.contourf(x, y, levels, levels=[0, 0.1, 0.3, 0.5, 0.7, 0.9], cmap="autumn", alpha=0.45)
    axes.contour(x, y, levels, levels=[0.99], colors="white", linewidths=1, linestyles="dashed")
    axes.plot(*density.keypoints[joint], marker="+", color="white", markersize=10)
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="x, px", ylabel="y, px", aspect="equal")
    axes.set_title(f"{name}: bands contain 10, 30, 50, 70, 90 %, the line 99 %", fontsize=10)
    return figure
