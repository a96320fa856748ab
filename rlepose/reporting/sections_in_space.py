"""The sections of a report on 3-D experiments: of pictures, of lifted poses, or of both."""

from collections.abc import Sequence

import numpy as np

from rlepose.evaluation.mpjpe import METRICS, PCK3D_THRESHOLD_MM
from rlepose.models.options import LiftingModelConfig
from rlepose.reporting.common_sections import curves, measured_on, persons, settings, uncertainty
from rlepose.reporting.figures import error_figure
from rlepose.reporting.in_space import MeasuredInSpace
from rlepose.reporting.page_parts import figure_image, note, row, table

_ABOUT_UNCERTAINTY = (
    "NLL in nats per joint, density per cubic mm; sharpness is the median predicted standard deviation and error the "
    "median distance, both in mm; spearman is the rank correlation of predicted deviation and error. For all learned "
    "joints except the root; for pictures in mm at the depth of the root, for lifted poses in 3-D relative to the root."
)
_ABOUT_DRAWINGS = (
    "Labels on the left, predictions on the right: from the front, or in the picture if there is one, from the side, "
    "and from above"
)
_TILE_REM = 19  # three beside each other
_SHARES = (0.5, 0.9, 0.95, 0.99)


def sections_in_space(experiments: Sequence[MeasuredInSpace]) -> list[tuple[str, str]]:
    """Return heading and HTML of each section."""
    return [
        ("Summary", summary(experiments)),
        ("Learning curves", curves(experiments)),
        ("Actions", actions(experiments)),
        ("Joints", joints(experiments)),
        ("Errors", errors(experiments)),
        ("Uncertainty", uncertainty(experiments, _ABOUT_UNCERTAINTY)),
        ("Persons", persons(experiments, _ABOUT_DRAWINGS, _TILE_REM)),
        ("Settings", settings(experiments)),
    ]


def summary(experiments: Sequence[MeasuredInSpace]) -> str:
    """Return the main metrics, and the data they were measured on."""
    rows = [
        [e.name, e.config.task, e.config.loss.name, *_network(e), e.epoch, e.persons, *_numbers(e, "")]
        for e in experiments
    ]
    header = ["experiment", "task", "loss", "network", "reads", "epoch", "persons", *METRICS]
    text = (
        " MPJPE is the mean distance of 17 joints from their labels in mm, relative to the pelvis; PA_MPJPE after "
        f"Procrustes alignment; PCK3D is the fraction of joints within {PCK3D_THRESHOLD_MM:g} mm, AUC its mean over "
        "thresholds from 0."
    )
    return table(header, rows) + measured_on(experiments, "with labelled boxes or joints", text)


def actions(experiments: Sequence[MeasuredInSpace]) -> str:
    """Return one row for each action, experiments side by side."""
    names = {name.partition("/")[2] for e in experiments for name in e.metrics if name.startswith("MPJPE/")}
    rows = [
        [name or "all", *(cell for e in experiments for cell in _numbers(e, name)[:2])] for name in (*sorted(names), "")
    ]
    return table(["action", *_columns(experiments, METRICS[:2])], rows)


def joints(experiments: Sequence[MeasuredInSpace]) -> str:
    """Return the errors of each joint, experiments side by side."""
    columns = [_mm(values.mean(axis=0)) for e in experiments for values in (e.errors, e.aligned_errors, e.depth_errors)]
    rows = [[joint, *cells] for joint, *cells in zip(experiments[0].judged, *columns, strict=True)]
    text = (
        "Mean error in mm, relative to the pelvis; aligned: after Procrustes alignment; depth: the error along the "
        "optical axis, which is hardest to see in one picture."
    )
    return table(["joint", *_columns(experiments, ("error", "aligned", "depth"))], rows) + note(text)


def errors(experiments: Sequence[MeasuredInSpace]) -> str:
    """Return the distribution of errors: quantiles, and the largest."""
    figure = error_figure({e.name: e.errors.ravel() for e in experiments}, PCK3D_THRESHOLD_MM)
    rows = [[e.name, *_mm(np.quantile(e.errors, _SHARES)), *_mm(e.errors.max(keepdims=True)[0])] for e in experiments]
    text = (
        "The curve is the fraction of joints whose error is at most x. At the dotted line it is PCK3D, and AUC is its "
        "mean up to there. The pelvis counts, with error 0."
    )
    header = ["experiment", *(f"{100 * share:g} % within, mm" for share in _SHARES), "largest, mm"]
    return row([figure_image(figure, "Fraction of joints against their error")], 34) + table(header, rows) + note(text)


def _network(e: MeasuredInSpace) -> tuple[str, str]:
    """Return the network, and its input."""
    model = e.config.model
    if isinstance(model, LiftingModelConfig):
        return f"{model.blocks} blocks, {model.width} wide", "2-D poses"
    height, width = e.config.data.input_size_hw
    return f"{e.config.top_down.backbone.name}, {e.config.top_down.head.name}", f"crops of {width}×{height}"


def _numbers(e: MeasuredInSpace, action: str) -> list[str | None]:
    """Format METRICS of an action, or of all: mm with one decimal, fractions with three."""
    values = [e.metrics.get(f"{name}/{action}" if action else name) for name in METRICS]
    decimals = [1 if "MPJPE" in name else 3 for name in METRICS]
    return [None if value is None else f"{value:.{digits}f}" for value, digits in zip(values, decimals, strict=True)]


def _columns(experiments: Sequence[MeasuredInSpace], names: Sequence[str]) -> list[str]:
    """Return each of the names, once for each experiment."""
    return [f"{e.name} {name}" if len(experiments) > 1 else name for e in experiments for name in names]


def _mm(values: np.ndarray) -> list[str]:
    return [f"{value:.1f}" for value in values]
