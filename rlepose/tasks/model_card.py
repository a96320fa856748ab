"""Write the model card of a checkpoint: training data, metrics, and what was not tested."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlepose.config.config import Config
from rlepose.config.names import changed_options
from rlepose.datasets.of_config import training_files
from rlepose.datasets.persons import counted
from rlepose.pose.skeleton import Skeleton
from rlepose.tasks.card_texts import card_texts
from rlepose.validation.evaluator import metric_text
from rlepose.validation.validations import selecting_number

_CALIBRATION = "\n## Calibration\n"


def model_card(
    config: Config,
    skeleton: Skeleton,
    metrics: Mapping[str, Any],
    epoch: int,
    persons: Mapping[str, tuple[int, Mapping[str, int]]],
) -> str:
    """Return the card in Markdown.

    epoch: number of finished epochs. persons: numbers of persons for training and validation, and of persons left out,
    by reason. metrics: of the validation with annotated boxes, by which this checkpoint was selected.
    """
    data, root = config.data, Path(config.data.root)
    texts = card_texts(config, skeleton)
    newest = config.train.select_by == "last"
    training = "`, `".join(str(annotations) for annotations, _ in training_files(data))
    files = {"training": training, "validation": str(root / data.val_annotations)}
    lines = [
        f"# {config.name}",
        "",
        f"{texts.network}, loss {config.loss.name}; the {'newest' if newest else 'best'} of its run, after epoch "
        f"{epoch} of {config.train.epochs}.",
        "",
        "## Data",
        "",
        *(
            f"* {use}: {count:,} persons of `{files[use]}`; left out: {counted(left_out)}"
            for use, (count, left_out) in persons.items()
        ),
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
        "The checkpoint is the last one; it was not selected by these metrics."
        if newest
        else f"The checkpoint was selected by `{selecting_number(config)}` on these same persons, so the metrics are "
        "slightly optimistic.",
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
        "* Measured only on the validation file above: not on other cameras, poses, scenes, or groups of people, and "
        "not by age, sex, skin colour or clothing.",
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
    """Return the card with the results of `rlepose validate --calibration`. numbers: of `calibration_metrics`."""
    return card.partition(_CALIBRATION)[0] + _calibration(numbers, f"`{measured_on}`")


def _calibration(numbers: Mapping[str, float | None] | None, measured_on: str) -> str:
    if numbers is None:
        text = "Not measured yet: `rlepose validate --checkpoint best.pt --calibration` fills this in."
    else:
        rows = [f"| {name} | {metric_text(value)} |" for name, value in numbers.items()]
        text = "\n".join([f"Measured on {measured_on}:", "", "| metric | value |", "|---|---|", *rows])
    return f"{_CALIBRATION}\n{text}\n"
