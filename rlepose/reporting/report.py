"""The HTML report on one or several experiments, section by section; docs/report.md explains it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlepose.drawing.plots import density_figure, nme_figure, reliability_figure, risk_coverage_figure
from rlepose.evaluation.coco_table import COCO_METRICS
from rlepose.evaluation.errors_by_type import ERROR_TYPES
from rlepose.evaluation.nme import NME_LEFT_OUT, NME_METRICS
from rlepose.reporting.figures import learning_figures, mistakes_figure
from rlepose.reporting.measure import Measured, Uncertainty
from rlepose.reporting.page_parts import figure_image, heading, note, page, picture_image, row, table, wide
from rlepose.validation.evaluator import metric_text

_BOXES = {"gt": "annotated", "det": "detected"}
_UNCERTAINTY = ("NLL", "NLL_relative", "calibration_error", "sharpness", "error", "spearman_sigma_error")


def write_report(path: Path, experiments: Sequence[Measured]) -> None:
    """Write the report and create its folder."""
    names = ", ".join(experiment.name for experiment in experiments)
    sections = [
        ("Summary", summary(experiments)),
        ("Learning curves", curves(experiments)),
        ("COCO metrics", coco_numbers(experiments)),
        *([("Normalised error", normalised_error(experiments))] if any(e.nme for e in experiments) else []),
        ("Joints", joints(experiments)),
        ("Uncertainty", uncertainty(experiments)),
        ("Types of mistakes", mistakes(experiments)),
        ("Persons", persons(experiments)),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(f"Pose estimation: {names}", sections), encoding="utf-8")


def summary(experiments: Sequence[Measured]) -> str:
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
    files: dict[Path, list[str]] = {}
    for e in experiments:
        files.setdefault(Path(e.config.data.root) / e.config.data.val_annotations, []).append(e.name)
    where = [str(path) if len(files) == 1 else f"{path} ({', '.join(names)})" for path, names in files.items()]
    text = "The best checkpoint of each experiment, best.pt, validated for this report with annotated boxes"
    flip = {e.config.eval.flip_test for e in experiments}
    text += {True: " and flip test", False: " without flip test"}[flip.pop()] if len(flip) == 1 else ""
    chosen = [e.name for e in experiments if e.epoch is not None and e.config.train.select_by != "last"]
    if chosen:
        whose = "It" if len(chosen) == len(experiments) else f"That of {', '.join(chosen)}"
        text += f". {whose} was selected on the same persons, so its metrics are slightly optimistic"
    text += "."
    references = {e.config.eval.pck_reference for e in experiments}
    if pck:
        text += f" PCK is relative to: {', '.join(sorted(references))}."
    return table(header, rows) + note(text) + note(f"Persons of {'; '.join(where)}.")


def curves(experiments: Sequence[Measured]) -> str:
    """Return the learning curves."""
    text = "From metrics.jsonl. Likelihood losses may be negative; values of different losses are not comparable."
    images = [figure_image(figure, name) for name, figure in learning_figures(experiments).items()]
    return row(images, 20) + note(text)


def coco_numbers(experiments: Sequence[Measured]) -> str:
    """Return one row for each experiment, source of boxes, and subset of a benchmark."""
    rows = []
    for e in experiments:
        for prefix in (name.removesuffix("/AP") for name in e.metrics if name.endswith("/AP")):
            kind, _, part = prefix.partition(" ")
            numbers = [e.metrics[f"{prefix}/{name}"] for name in COCO_METRICS]
            rows.append([e.name, f"{_BOXES[kind]}, {part}" if part else _BOXES[kind], *numbers])
    return table(["experiment", "boxes", *COCO_METRICS], rows)


def normalised_error(experiments: Sequence[Measured]) -> str:
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


def joints(experiments: Sequence[Measured]) -> str:
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


def uncertainty(experiments: Sequence[Measured]) -> str:
    """Return reliability, ranking and densities, or the reason why an experiment has none."""
    content = ""
    names = experiments[0].joints
    judged = {e.name: e.uncertainty for e in experiments if isinstance(e.uncertainty, Uncertainty)}
    if judged:
        content += heading("Reliability")
        figure = reliability_figure({name: u.observations for name, u in judged.items()})
        text = "Fraction of labels inside the predicted regions against their probability"
        content += row([figure_image(figure, text)], 30)
        rows = [[name, *(u.report["overall"][key] for key in _UNCERTAINTY)] for name, u in judged.items()]
        content += table(["experiment", *(key.replace("_", " ") for key in _UNCERTAINTY)], rows)
        content += note(
            "Highest-density regions: on the diagonal, they contain as many labels as predicted; below it, the model "
            "is overconfident. NLL in nats per joint, density per squared pixel (relative: per squared person size); "
            "sharpness is the median predicted standard deviation and error the median distance, both in pixels; "
            "spearman is the rank correlation of predicted deviation and error."
        )
    ranked = {e.name: e.ranking for e in experiments if e.ranking is not None}
    if ranked:
        content += heading("Risk and coverage")
        text = "Mean 1 minus OKS of the persons that remain when the least confident are removed"
        content += row([figure_image(risk_coverage_figure(ranked), text)], 30)
        content += note("Persons with the highest mean joint score should have the highest OKS: the curve should rise.")
    for name, u in judged.items():
        content += heading(f"Learned density of each joint: {name}")
        figure = density_figure(u.likelihood, u.observations, names)
        content += wide(figure_image(figure, "Labels around predictions, in sigmas"))
    for e in experiments:
        if isinstance(e.uncertainty, str):
            content += note(f"{e.name}: no reliability and densities: {e.uncertainty}.")
        if e.ranking is None:
            content += note(f"{e.name}: no risk and coverage, and no confidence galleries below: all scores are equal.")
    return content


def mistakes(experiments: Sequence[Measured]) -> str:
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
        rows = [[joint, *map(int, kinds), int(kinds.sum())] for joint, kinds in zip(e.joints, counts, strict=True)]
        rows.append(["all", *map(int, counts.sum(axis=0)), int(counts.sum())])
        content += table(["joint", *ERROR_TYPES, "labels"], rows)
    return content


def persons(experiments: Sequence[Measured]) -> str:
    """Return the galleries."""
    content = note(
        "Labels on the left, predictions on the right, with ellipses of one standard deviation if there is a sigma; "
        "left limbs of the person are orange, right limbs blue."
    )
    for e in experiments:
        for gallery in e.galleries:
            title = f"{gallery.title}: {e.name}"
            content += heading(title)
            content += note(gallery.note) if gallery.picture is None else wide(picture_image(gallery.picture, title))
    return content


def _gain(before: float, after: float) -> str:
    return f"{after:.3f} ({after - before:+.3f})"
