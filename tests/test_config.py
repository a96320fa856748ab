"""The options themselves: documented, read, within their limits."""

import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlepose.config import Config, DataConfig, EvalConfig, LossConfig, option_names
from rlepose.config_reading import config_from_dict
from rlepose.datasets.training import TABLES
from rlepose.engine.validators import VALIDATORS
from rlepose.errors import InputError
from rlepose.evaluation.coco import EVALUATORS
from rlepose.losses import LOSSES

REPOSITORY = Path(__file__).parent.parent


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
            yield dotted, [number] * len(item.default or [0]) if "tuple" in str(hint) else number


def test_every_option_has_a_meaning() -> None:
    assert [dotted for dotted, _, item in leaves() if not item.metadata.get("meaning")] == []


def test_every_option_is_read_somewhere() -> None:
    files = [path for room in ("rlepose", "scripts") for path in (REPOSITORY / room).rglob("*.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files if path.name != "config.py")
    unread = [dotted for dotted in option_names() if not re.search(rf"\.{dotted.rpartition('.')[2]}\b", source)]
    assert unread == []


def test_loss_names_are_the_losses_that_exist() -> None:
    assert set(typing.get_args(typing.get_type_hints(LossConfig)["name"])) == set(LOSSES)


def test_data_formats_are_those_that_can_be_validated_and_trained_on() -> None:
    formats = set(typing.get_args(typing.get_type_hints(DataConfig)["format"]))
    assert formats == set(VALIDATORS) == set(TABLES)


def test_evaluation_backends_are_the_evaluators_that_exist() -> None:
    assert set(typing.get_args(typing.get_type_hints(EvalConfig)["backend"])) == set(EVALUATORS)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config(name="case").train.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(("dotted", "value"), list(just_outside()))
def test_a_value_out_of_range_is_refused(dotted: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{re.escape(dotted)}: expected (at least|at most|more than) "):
        config_from_dict(nested(dotted, value))
