"""The sections that pages about experiments of all tasks have."""

import json
from collections.abc import Sequence
from pathlib import Path

from rlepose.config.names import changed_options, option_values
from rlepose.drawing.plots import density_figure, reliability_figure, risk_coverage_figure
from rlepose.reporting.figures import learning_figures
from rlepose.reporting.measured import Measured, Uncertainty
from rlepose.reporting.page_parts import figure_image, heading, note, picture_image, row, table, wide

_UNCERTAINTY = ("NLL", "NLL_relative", "calibration_error", "sharpness", "error", "spearman_sigma_error")


def measured_on(experiments: Sequence[Measured], how: str, more: str = "") -> str:
    """Which checkpoints were validated, and on what. how: ends the first sentence. more: sentences after the last."""
    text = f"The kept checkpoint of each experiment, best.pt, validated for this page {how}"
    flip = {e.config.eval.flip_test for e in experiments}
    text += {True: " and flip test", False: " without flip test"}[flip.pop()] if len(flip) == 1 else ""
    chosen = [e.name for e in experiments if e.epoch is not None and e.config.train.select_by != "last"]
    if chosen:
        whose = "It" if len(chosen) == len(experiments) else f"That of {', '.join(chosen)}"
        text += f". {whose} was chosen on the same persons, so its numbers are a little too good"
    files: dict[Path, list[str]] = {}
    for e in experiments:
        files.setdefault(Path(e.config.data.root) / e.config.data.val_annotations, []).append(e.name)
    where = [str(path) if len(files) == 1 else f"{path} ({', '.join(names)})" for path, names in files.items()]
    return note(f"{text}.{more}") + note(f"Persons of {'; '.join(where)}.")


def curves(experiments: Sequence[Measured]) -> str:
    """How the trainings went."""
    text = (
        "Of metrics.jsonl. A negative loss is right for likelihood losses; values of different losses do not compare."
    )
    images = [figure_image(figure, name) for name, figure in learning_figures(experiments).items()]
    return row(images, 20) + note(text)


def settings(experiments: Sequence[Measured]) -> str:
    """The options that differ from their defaults in an experiment, side by side."""
    values = [option_values(e.config) for e in experiments]
    names = dict.fromkeys(name for e in experiments for name in changed_options(e.config) if name != "name")
    rows = [[name, *(json.dumps(v[name], ensure_ascii=False) if name in v else None for v in values)] for name in names]
    text = "Options that differ from their defaults in an experiment; a dash where an experiment has no such option."
    return table(["option", *(e.name for e in experiments)], rows) + note(text)


def uncertainty(experiments: Sequence[Measured], about: str) -> str:
    """Reliability, ranking and densities of those that have them, and why the others have not. about: the table."""
    content = ""
    judged = {e.name: e.uncertainty for e in experiments if isinstance(e.uncertainty, Uncertainty)}
    if judged:
        content += heading("Reliability")
        figure = reliability_figure({name: u.observations for name, u in judged.items()})
        text = "Share of labels inside the predicted regions against their probability"
        content += row([figure_image(figure, text)], 30)
        names = [key for key in _UNCERTAINTY if all(key in u.report["overall"] for u in judged.values())]
        rows = [[name, *(u.report["overall"][key] for key in names)] for name, u in judged.items()]
        content += table(["experiment", *(key.replace("_", " ") for key in names)], rows)
        content += note(
            "Regions of highest density: on the diagonal they hold as many labels as they say; below it the model is "
            f"too sure. {about}"
        )
    ranked = {e.name: e.ranking for e in experiments if e.ranking is not None}
    if ranked:
        content += heading("Risk and coverage")
        text = "Mean risk of the persons kept when the least sure are left out"
        content += row([figure_image(risk_coverage_figure(ranked, experiments[0].risk), text)], 30)
        content += note("The surest persons, by the mean of their joints' scores, should be the best: a rising curve.")
    for e in experiments:
        if isinstance(e.uncertainty, Uncertainty):
            content += heading(f"Learned density: {e.name}")
            figure = density_figure(e.uncertainty.likelihood, e.uncertainty.observations, e.density_joints)
            content += wide(figure_image(figure, "Labels around predictions, in sigmas"))
        else:
            content += note(f"{e.name}: no reliability and no densities; {e.uncertainty}.")
        if e.ranking is None:
            content += note(f"{e.name}: no risk and coverage, and no unsure persons below; all its scores are equal.")
    return content


def persons(experiments: Sequence[Measured], about: str, width_rem: float) -> str:
    """The galleries. about: what a picture shows. width_rem: of a picture."""
    content = note(
        f"{about}, with ellipses of one standard deviation where there is a sigma; the person's left limbs are orange, "
        "right ones blue."
    )
    for e in experiments:
        for gallery in e.galleries:
            title = f"{gallery.title}: {e.name}"
            content += heading(title)
            images = [picture_image(picture, title) for picture in gallery.pictures]
            content += row(images, width_rem) if images else note(gallery.note)
    return content
