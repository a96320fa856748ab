"""The model card beside a checkpoint: what was learned from what, how good it is, and what nobody has tested."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlepose.config.config import Config
from rlepose.config.names import changed_options
from rlepose.pose.skeleton import Skeleton
from rlepose.tasks.card_texts import card_texts
from rlepose.validation.evaluator import metric_text
from rlepose.validation.validations import selecting_number

_CALIBRATION = "\n## Calibration\n"


def card_path(checkpoint: Path) -> Path:
    """Where the card of a checkpoint lies."""
    return checkpoint.with_suffix(".md")


def model_card(
    config: Config, skeleton: Skeleton, metrics: Mapping[str, Any], epoch: int, persons: Mapping[str, int]
) -> str:
    """The card, in Markdown. epoch: finished ones; persons: how many are for training and for validation.

    metrics: of the validation with annotated boxes, by which this checkpoint was chosen.
    """
    data, root = config.data, Path(config.data.root)
    texts = card_texts(config, skeleton)
    newest = config.train.select_by == "last"
    files = {"training": root / data.train_annotations, "validation": root / data.val_annotations}
    lines = [
        f"# {config.name}",
        "",
        f"{texts.network}, loss {config.loss.name}; the {'newest' if newest else 'best'} of its run, after epoch "
        f"{epoch} of {config.train.epochs}.",
        "",
        "## Data",
        "",
        *(f"* {use}: {persons[use]:,} persons of `{file}`" for use, file in files.items()),
        f"* joints: {', '.join(skeleton.names)}",
        "",
        "## Recipe",
        "",
        "Options that differ from their defaults:",
        "",
        *(f"    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in changed_options(config).items()),
        "",
        "## Metrics",
        "",
        texts.judged,
        "The checkpoint was chosen for being the last, not by these numbers."
        if newest
        else f"The checkpoint was chosen by `{selecting_number(config)}` on these same persons, so the numbers are a "
        "little too good.",
        "",
        "| metric | value |",
        "|---|---|",
        *(f"| {name} | {metric_text(value)} |" for name, value in metrics.items()),
        "",
        "## Input and output",
        "",
        f"* In: {texts.inputs}",
        f"* Out: {texts.outputs}",
        f"* {texts.about_sigma}",
        "",
        "## Limits",
        "",
        "* Measured on the validation file above and nowhere else: not on other cameras, poses, scenes, or groups of "
        "people, and not by age, sex, skin colour or clothing.",
        *(f"* {limit}" for limit in texts.limits),
        "",
        "## Use",
        "",
        "```python",
        *texts.use,
        "```",
    ]
    return "\n".join(lines) + "\n" + _calibration(None, "")


def with_calibration(card: str, numbers: Mapping[str, float | None], measured_on: Path) -> str:
    """The card with what `validate.py --calibration` found: numbers of `uncertainty.calibration_metrics`."""
    return card.partition(_CALIBRATION)[0] + _calibration(numbers, f"`{measured_on}`")


def _calibration(numbers: Mapping[str, float | None] | None, measured_on: str) -> str:
    if numbers is None:
        text = "Not measured yet: `python scripts/validate.py --checkpoint best.pt --calibration` fills this in."
    else:
        rows = [f"| {name} | {metric_text(value)} |" for name, value in numbers.items()]
        text = "\n".join([f"Measured on {measured_on}:", "", "| metric | value |", "|---|---|", *rows])
    return f"{_CALIBRATION}\n{text}\n"
