"""The options themselves: documented, read, within their limits."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rlepose.config.config import (
    Config,
    DataConfig,
    EvalConfig,
    FlowConfig,
    HeadConfig,
    LossConfig,
    OptimizerConfig,
    ScheduleConfig,
)
from rlepose.config.reading import config_from_dict
from rlepose.datasets.of_config import TABLES
from rlepose.errors import InputError
from rlepose.evaluation.coco_table import EVALUATORS
from rlepose.losses import FLOWS, LOSSES
from rlepose.models.heads import HEADS
from rlepose.training.optimization import OPTIMIZERS, SCHEDULES
from rlepose.validation.validations import EVALUATORS as POSE_EVALUATORS
from rlepose.validation.validations import VALIDATIONS

REPOSITORY = Path(__file__).parents[2]


def nested(dotted: str, value: Any) -> dict[str, Any]:
    tree = value
    for key in reversed(dotted.split(".")):
        tree = {key: tree}
    return {"name": "case", **tree}


def leaves(kind: Any = Config, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted name, type, dataclass field) of every option."""
    hints = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[item.name]):
            yield from leaves(hints[item.name], f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", hints[item.name], item


def just_outside() -> Iterator[tuple[str, Any]]:
    """(dotted name, value) for each limit of each option."""
    for dotted, hint, item in leaves():
        limits = item.metadata
        wrong = []
        if limits.get("low") is not None:
            wrong.append(limits["low"] - 1)
        if limits.get("above") is not None:
            wrong.append(limits["above"])
        if limits.get("high") is not None:
            wrong.append(limits["high"] + 1)
        for number in wrong:
            yield dotted, [number] * _length(hint) if "tuple" in str(hint) else number


def _length(hint: Any) -> int:
    """How many values an option that takes several wants; 1 where any number will do."""
    fixed = [typing.get_args(part) for part in (hint, *typing.get_args(hint)) if typing.get_origin(part) is tuple]
    return next((len(values) for values in fixed if ... not in values), 1)


def test_every_option_has_a_meaning() -> None:
    assert [dotted for dotted, _, item in leaves() if not item.metadata.get("meaning")] == []


def test_every_option_is_read_somewhere() -> None:
    files = [path for room in ("rlepose", "scripts") for path in (REPOSITORY / room).rglob("*.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files if path.name != "config.py")
    # What a part has of its own goes to its constructor; see the test below.
    named = [dotted for dotted, _, item in leaves() if not item.metadata.get("of")]
    unread = [dotted for dotted in named if not re.search(rf"\.{dotted.rpartition('.')[2]}\b", source)]
    assert unread == []


@pytest.mark.parametrize(
    ("section", "parts"),
    [
        (LossConfig, LOSSES),
        (FlowConfig, FLOWS),
        (HeadConfig, HEADS),
        (OptimizerConfig, OPTIMIZERS),
        (ScheduleConfig, SCHEDULES),
    ],
)
def test_a_section_names_the_parts_that_exist_and_what_they_take(section: type, parts: Mapping[str, Any]) -> None:
    names = typing.get_args(typing.get_type_hints(section)["name"])
    assert set(names) == set(parts)
    for item in dataclasses.fields(section):
        for name in item.metadata.get("of", ()):
            takes = inspect.signature(parts[name]).parameters
            assert item.name in takes or dataclasses.is_dataclass(item.default_factory)


def test_data_formats_are_those_that_can_be_validated_and_trained_on() -> None:
    formats = set(typing.get_args(typing.get_type_hints(DataConfig)["format"]))
    assert formats == set(VALIDATIONS) == set(POSE_EVALUATORS) == set(TABLES)


def test_evaluation_backends_are_the_evaluators_that_exist() -> None:
    assert set(typing.get_args(typing.get_type_hints(EvalConfig)["backend"])) == set(EVALUATORS)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config(name="case").train.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(("dotted", "value"), list(just_outside()))
def test_a_value_out_of_range_is_refused(dotted: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{re.escape(dotted)}: expected (at least|at most|more than) "):
        config_from_dict(nested(dotted, value))
