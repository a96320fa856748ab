"""The sections of a report on 2-D experiments."""

from collections.abc import Sequence
from typing import Any

from rlepose.drawing.plots import nme_figure
from rlepose.evaluation.coco_table import COCO_METRICS
from rlepose.evaluation.errors_by_type import ERROR_TYPES
from rlepose.evaluation.nme import NME_LEFT_OUT, NME_METRICS
from rlepose.reporting.common_sections import curves, measured_on, persons, settings, uncertainty
from rlepose.reporting.figures import mistakes_figure
from rlepose.reporting.in_picture import MeasuredInPicture
from rlepose.reporting.page_parts import figure_image, heading, note, row, table
from rlepose.validation.evaluator import metric_text

_BOXES = {"gt": "annotated", "det": "detected"}
_ABOUT_UNCERTAINTY = (
    "NLL in nats per joint, density per squared pixel (relative: per squared person size); sharpness is the median "
    "predicted standard deviation and error the median distance, both in pixels; spearman is the rank correlation of "
    "predicted deviation and error."
)
_ABOUT_DRAWINGS = "Labels on the left, predictions on the right"
_TILE_REM = 29  # two beside each other


def sections_in_picture(experiments: Sequence[MeasuredInPicture]) -> list[tuple[str, str]]:
    """Return heading and HTML of each section."""
    return [
        ("Summary", summary(experiments)),
        ("Learning curves", curves(experiments)),
        ("COCO metrics", coco_numbers(experiments)),
        *([("Normalised error", normalised_error(experiments))] if any(e.nme for e in experiments) else []),
        ("Joints", joints(experiments)),
        ("Uncertainty", uncertainty(experiments, _ABOUT_UNCERTAINTY)),
        ("Types of mistakes", mistakes(experiments)),
        ("Persons", persons(experiments, _ABOUT_DRAWINGS, _TILE_REM)),
        ("Settings", settings(experiments)),
    ]


def summary(experiments: Sequence[MeasuredInPicture]) -> str:
    """Return the main metrics, and the data they were measured on."""
    pck = sorted({name for e in experiments for name in e.metrics if name.startswith("gt/PCK")})
    nme = ["gt/NME"] if any(e.nme for e in experiments) else []
    header = ["experiment", "loss", "head", "backbone", "crop", "epoch", "persons", "AP", "AR", "mean OKS"]
    header += [f"{name.removeprefix('gt/')}" for name in (*pck, *nme)]
    rows = []
    for e in experiments:
        height, width = e.config.data.input_size_hw
        loss, model = e.config.loss.name, e.config.top_down
        cells: list[Any] = [e.name, loss, model.head.name, model.backbone.name, f"{width}×{height}", e.epoch, e.persons]
        cells += [e.metrics["gt/AP"], e.metrics["gt/AR"], e.mean_oks, *(e.metrics.get(name) for name in pck)]
        rows.append([*cells, *(metric_text(e.metrics.get(name)) for name in nme)])
    text = ""
    if pck:
        text = f" PCK is relative to: {', '.join(sorted({e.config.eval.pck_reference for e in experiments}))}."
    return table(header, rows) + measured_on(experiments, "with annotated boxes", text)


def coco_numbers(experiments: Sequence[MeasuredInPicture]) -> str:
    """Return one row for each experiment, source of boxes, and subset of a benchmark."""
    rows = []
    for e in experiments:
        for prefix in (name.removesuffix("/AP") for name in e.metrics if name.endswith("/AP")):
            boxes, _, subset = prefix.partition(" ")
            numbers = [e.metrics[f"{prefix}/{name}"] for name in COCO_METRICS]
            rows.append([e.name, f"{_BOXES[boxes]}, {subset}" if subset else _BOXES[boxes], *numbers])
    return table(["experiment", "boxes", *COCO_METRICS], rows)


def normalised_error(experiments: Sequence[MeasuredInPicture]) -> str:
    """Return the cumulative error curve and NME metrics of experiments with a reference length."""
    judged = {e.name: e.nme for e in experiments if e.nme is not None}
    figure = nme_figure(
        {name: [each.measured] for name, each in judged.items()}, [each.reference for each in judged.values()]
    )
    rows: list[list[Any]] = []
    for e in experiments:
        if e.nme is not None:
            numbers = [e.metrics[f"gt/{name}"] for name in NME_METRICS]
            left_out = e.metrics[f"gt/{NME_LEFT_OUT}"]
            rows.append([e.name, e.nme.reference, metric_text(numbers[0]), *numbers[1:], left_out, e.nme.reasons()])
    header = ["experiment", "relative to", *(name.removeprefix("NME_") for name in NME_METRICS), "skipped", "reason"]
    text = (
        "A person's NME is the mean distance of the labelled joints from their labels, divided by a length of the "
        "person; NME is the mean over persons. The curve is the fraction of persons whose NME is at most x; AUC@t is "
        "its mean up to t, and failures@t the fraction of persons above t. Only equal references are comparable."
    )
    without = [e.name for e in experiments if e.nme is None]
    content = row([figure_image(figure, "Fraction of persons against NME")], 34) + table(header, rows) + note(text)
    return content + (
        note(f"Not shown, because eval.nme_reference is not set: {', '.join(without)}.") if without else ""
    )


def joints(experiments: Sequence[MeasuredInPicture]) -> str:
    """Return AP and OKS of each joint, experiments side by side."""
    header = ["joint", "labels"]
    for e in experiments:
        prefix = f"{e.name} " if len(experiments) > 1 else ""
        header += [f"{prefix}AP", f"{prefix}OKS"]
    rows: list[list[Any]] = []
    for k, joint in enumerate(experiments[0].joints):
        numbers = [float(value) for e in experiments for value in (e.joint_ap[k], e.joint_oks[k])]
        rows.append([joint, int(experiments[0].labels[k]), *numbers])
    text = (
        "AP is computed as if the joint were the only one, ranked by its own score; OKS is the joint's mean similarity "
        "to its label. OKS constants account for how precisely each joint can be labelled."
    )
    return table(header, rows) + note(text)


def mistakes(experiments: Sequence[MeasuredInPicture]) -> str:
    """Return the frequency of each type of mistake, and its effect on AP."""
    content = table(
        ["experiment", "AP", *(f"without {mistake}" for mistake in ERROR_TYPES[1:])],
        [[e.name, e.mistakes.ap, *(_gain(e.mistakes.ap, ap) for ap in e.mistakes.corrected_ap)] for e in experiments],
    )
    content += note(
        "After Ronchi and Perona (ICCV 2017). Good: similarity of at least 0.85 with the label; jitter: at least 0.5; "
        "inversion: on the mirror twin of the same person; swap: on a joint of another person; miss: none of these. "
        "“Without” is the AP if all joints of this type were moved to their labels."
    )
    for e in experiments:
        content += heading(e.name)
        content += figure_image(
            mistakes_figure(e.mistakes.counts, e.joints), "Fraction of each type of mistake by joint"
        )
        counts = e.mistakes.counts
        rows = [
            [joint, *map(int, of_joint), int(of_joint.sum())] for joint, of_joint in zip(e.joints, counts, strict=True)
        ]
        rows.append(["all", *map(int, counts.sum(axis=0)), int(counts.sum())])
        content += table(["joint", *ERROR_TYPES, "labels"], rows)
    return content


def _gain(before: float, after: float) -> str:
    return f"{after:.3f} ({after - before:+.3f})"
