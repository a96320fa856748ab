"""The sections that reports on experiments of all tasks have."""

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
    """Return notes on the validated checkpoints and data. how: end of the first sentence. more: further sentences."""
    text = f"The best checkpoint of each experiment, best.pt, validated for this report {how}"
    flip = {e.config.eval.flip_test for e in experiments}
    text += {True: " and flip test", False: " without flip test"}[flip.pop()] if len(flip) == 1 else ""
    chosen = [e.name for e in experiments if e.epoch is not None and e.config.train.select_by != "last"]
    if chosen:
        whose = "It" if len(chosen) == len(experiments) else f"That of {', '.join(chosen)}"
        text += f". {whose} was selected on the same persons, so its metrics are slightly optimistic"
    files: dict[Path, list[str]] = {}
    for e in experiments:
        files.setdefault(Path(e.config.data.root) / e.config.data.val_annotations, []).append(e.name)
    where = [str(path) if len(files) == 1 else f"{path} ({', '.join(names)})" for path, names in files.items()]
    return note(f"{text}.{more}") + note(f"Persons of {'; '.join(where)}.")


def curves(experiments: Sequence[Measured]) -> str:
    """Return the learning curves."""
    text = "From metrics.jsonl. Likelihood losses may be negative; values of different losses are not comparable."
    images = [figure_image(figure, name) for name, figure in learning_figures(experiments).items()]
    return row(images, 20) + note(text)


def settings(experiments: Sequence[Measured]) -> str:
    """Return the options that differ from their defaults in any experiment, experiments side by side."""
    values = [option_values(e.config) for e in experiments]
    names = dict.fromkeys(name for e in experiments for name in changed_options(e.config) if name != "name")
    rows = [[name, *(json.dumps(v[name], ensure_ascii=False) if name in v else None for v in values)] for name in names]
    text = (
        "Options that differ from their defaults in any experiment; a dash if an experiment does not have the option."
    )
    return table(["option", *(e.name for e in experiments)], rows) + note(text)


def uncertainty(experiments: Sequence[Measured], about: str) -> str:
    """Return reliability, ranking and densities, or the reason why an experiment has none. about: note on the table."""
    content = ""
    judged = {e.name: e.uncertainty for e in experiments if isinstance(e.uncertainty, Uncertainty)}
    if judged:
        content += heading("Reliability")
        figure = reliability_figure({name: u.observations for name, u in judged.items()})
        text = "Fraction of labels inside the predicted regions against their probability"
        content += row([figure_image(figure, text)], 30)
        names = [key for key in _UNCERTAINTY if all(key in u.report["overall"] for u in judged.values())]
        rows = [[name, *(u.report["overall"][key] for key in names)] for name, u in judged.items()]
        content += table(["experiment", *(key.replace("_", " ") for key in names)], rows)
        content += note(
            "Highest-density regions: on the diagonal, they contain as many labels as predicted; below it, the model "
            f"is overconfident. {about}"
        )
    ranked = {e.name: e.ranking for e in experiments if e.ranking is not None}
    if ranked:
        content += heading("Risk and coverage")
        text = "Mean risk of the persons that remain when the least confident are removed"
        content += row([figure_image(risk_coverage_figure(ranked, experiments[0].risk), text)], 30)
        content += note("Persons with the highest mean joint score should have the lowest risk: the curve should rise.")
    for e in experiments:
        if isinstance(e.uncertainty, Uncertainty):
            content += heading(f"Learned density: {e.name}")
            figure = density_figure(e.uncertainty.likelihood, e.uncertainty.observations, e.density_joints)
            content += wide(figure_image(figure, "Labels around predictions, in sigmas"))
        else:
            content += note(f"{e.name}: no reliability and densities: {e.uncertainty}.")
        if e.ranking is None:
            content += note(f"{e.name}: no risk and coverage, and no confidence galleries below: all scores are equal.")
    return content


def persons(experiments: Sequence[Measured], about: str, width_rem: float) -> str:
    """Return the galleries. about: description of a picture. width_rem: width of a picture."""
    content = note(
        f"{about}, with ellipses of one standard deviation if there is a sigma; left limbs of the person are orange, "
        "right limbs blue."
    )
    for e in experiments:
        for gallery in e.galleries:
            title = f"{gallery.title}: {e.name}"
            content += heading(title)
            images = [picture_image(picture, title) for picture in gallery.pictures]
            content += row(images, width_rem) if images else note(gallery.note)
    return content
