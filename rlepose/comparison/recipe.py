"""The recipe of a run in plain types: stored with its metrics, and compared with a later version of the suite."""

import json
from collections.abc import Mapping
from typing import Any

from rlepose.comparison.state import WITHOUT_EFFECT
from rlepose.comparison.suite import AFTER, Run, Suite
from rlepose.config.config import Config
from rlepose.config.names import changed_options, option_values

Recipe = Mapping[str, Any]


def recipe_of(suite: Suite, run: Run) -> Recipe:
    """Return the recipe in JSON types, without the paths of the suite's folders:

    options, other_options  training options: those that differ from the defaults, and the rest
    starts_from             both for the row that this one starts from, and so on; None if there is none
    validate_options        options with another value in the last validation, with that value
    """
    training, validation = _values(run.config), _values(run.validation)
    changed = {name: value for name, value in validation.items() if name not in training or value != training[name]}
    return json.loads(json.dumps(_training(suite, run) | {"validate_options": changed}))


def changes(old: Recipe, new: Recipe) -> list[str]:
    """Return 'train.epochs: 20 -> 30' for each option with an effect that differs.

    An option that only one of the recipes has, because they come from different versions of rlepose, counts if it is
    not at its default.
    """
    lines = _changes(old, new)
    for name in {**old["validate_options"], **new["validate_options"]}:
        before, now = (recipe["validate_options"].get(name, "as in training") for recipe in (old, new))
        if before != now and name not in WITHOUT_EFFECT:
            lines.append(f"{name} of the last validation: {before} -> {now}")
    return lines


def _training(suite: Suite, run: Run) -> dict[str, Any]:
    start, earlier = suite.start(run.row, run.seed), suite.earlier(run)
    values = _values(run.config)
    if start is not None:
        values = {name: v.replace(start, AFTER) if isinstance(v, str) else v for name, v in values.items()}
    changed = changed_options(run.config)
    return {
        "options": {name: value for name, value in values.items() if name in changed},
        "other_options": {name: value for name, value in values.items() if name not in changed},
        "starts_from": None if earlier is None else _training(suite, earlier),
    }


def _values(config: Config) -> dict[str, Any]:
    return {name: value for name, value in option_values(config).items() if name != "output_dir"}


def _changes(old: Recipe, new: Recipe) -> list[str]:
    before, now = ({**recipe["options"], **recipe["other_options"]} for recipe in (old, new))
    lines = []
    for name in {**before, **now}:
        both = name in before and name in now
        if name in WITHOUT_EFFECT or not (both or name in old["options"] or name in new["options"]):
            continue
        values = before.get(name, "no such option"), now.get(name, "no such option")
        if values[0] != values[1]:
            lines.append(f"{name}: {values[0]} -> {values[1]}")
    earlier = old["starts_from"], new["starts_from"]
    if earlier[0] is None or earlier[1] is None:
        return lines if earlier[0] is earlier[1] else [*lines, "only one of the two starts from another row"]
    return [*lines, *(f"{line} in the row that it starts from" for line in _changes(*earlier))]
