"""The options themselves: documented, read, within their limits, and those of each variant what it takes."""

import dataclasses
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.datasets.of_config import TABLES
from rlepose.datasets.options import DataConfig
from rlepose.errors import InputError
from rlepose.evaluation.coco_table import EVALUATORS
from rlepose.jobs.train import TASKS
from rlepose.losses import FLOWS, LOSSES
from rlepose.losses.options import AnyFlow, AnyLoss, FlowConfig, FlowLossConfig, LossConfig
from rlepose.models.heads import HEADS
from rlepose.models.lifting_net import LiftingNet
from rlepose.models.options import AnyHead, AnyModel, HeadConfig, LiftingModelConfig, ModelConfig
from rlepose.options import SectionField, own_options, section_classes, section_fields, variants
from rlepose.training.optimization import OPTIMIZERS, SCHEDULES
from rlepose.training.options import AnyOptimizer, AnySchedule, OptimizerConfig
from rlepose.validation.options import EvalConfig
from rlepose.validation.validations import EVALUATORS as POSE_EVALUATORS
from rlepose.validation.validations import VALIDATIONS

REPOSITORY = Path(__file__).parents[2]
# What a section's name chooses gets the options that `common` does not have as keyword arguments.
CHOOSABLE = [
    (AnyLoss, LOSSES, LossConfig),
    (AnyFlow, FLOWS, FlowConfig),
    (AnyHead, HEADS, HeadConfig),
    (AnyOptimizer, OPTIMIZERS, OptimizerConfig),
]


def nested(dotted: str, value: Any, choice: Mapping[str, str]) -> dict[str, Any]:
    """A tree with one option; choice: names of the sections around it that have variants."""
    tree: dict[str, Any] = {"name": "case"}
    for key, one in {**{f"{section}.name": name for section, name in choice.items()}, dotted: value}.items():
        *sections, last = key.split(".")
        below = tree
        for section in sections:
            below = below.setdefault(section, {})
        below[last] = one
    return tree


def leaves(
    classes: tuple[Any, ...] = (Config,), prefix: str = "", choice: Mapping[str, str] | None = None
) -> Iterator[tuple[str, SectionField, Mapping[str, str]]]:
    """(dotted name, field, variants to choose for it) of every option but the names of variants."""
    for name, found in section_fields(*classes).items():
        chosen = dict(choice or {})
        if len(classes) > 1:
            chosen[prefix.rstrip(".")] = found.owners[0].name
        below = section_classes(found.hint)
        if below:
            yield from leaves(below, f"{prefix}{name}.", chosen)
        elif len(classes) == 1 or name != "name":
            yield f"{prefix}{name}", found, chosen


def just_outside() -> Iterator[tuple[str, Any, Mapping[str, str]]]:
    """(dotted name, value, variants to choose) for each limit of each option."""
    for dotted, found, choice in leaves():
        limits = found.item.metadata
        wrong = []
        if limits.get("low") is not None:
            wrong.append(limits["low"] - 1)
        if limits.get("above") is not None:
            wrong.append(limits["above"])
        if limits.get("high") is not None:
            wrong.append(limits["high"] + 1)
        for number in wrong:
            yield dotted, _value_of(found.hint, number), choice


def _value_of(hint: Any, number: float) -> Any:
    """A value of an option in which this number stands wherever it takes one."""
    if "dict" in str(hint):
        return {"name": number}
    return [number] * _length(hint) if "tuple" in str(hint) else number


def _length(hint: Any) -> int:
    """How many values an option that takes several wants; 1 where any number will do."""
    fixed = [typing.get_args(part) for part in (hint, *typing.get_args(hint)) if typing.get_origin(part) is tuple]
    return next((len(values) for values in fixed if ... not in values), 1)


def test_every_option_has_a_meaning() -> None:
    assert [dotted for dotted, found, _ in leaves() if not found.item.metadata.get("meaning")] == []


def test_every_option_is_read_somewhere() -> None:
    files = [path for room in ("rlepose", "scripts") for path in (REPOSITORY / room).rglob("*.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files if path.name != "options.py")
    # What a variant has of its own goes to a constructor; see the test below.
    passed = {name for _, _, common in CHOOSABLE for name in _own_names(common)}
    passed |= own_options(LiftingModelConfig(), ModelConfig).keys()
    named = [dotted.rpartition(".")[2] for dotted, _, _ in leaves()]
    assert [name for name in named if name not in passed and not re.search(rf"\.{name}\b", source)] == []


def _own_names(common: type) -> set[str]:
    classes = next(section_classes(union) for union, _, other in CHOOSABLE if other is common)
    return {name for one in classes for name in own_options(one(), common)}


@pytest.mark.parametrize(("union", "built", "common"), CHOOSABLE, ids=["loss", "flow", "head", "optimizer"])
def test_what_a_name_chooses_takes_the_options_of_its_variant(
    union: Any, built: Mapping[str, Any], common: type
) -> None:
    assert set(variants(union)) == set(built)
    for name, variant in variants(union).items():
        own = {key for key, value in own_options(variant(), common).items() if not dataclasses.is_dataclass(value)}
        assert own - inspect.signature(built[name]).parameters.keys() == set()


def test_a_lifting_network_takes_the_options_of_its_variant() -> None:
    own = own_options(LiftingModelConfig(), ModelConfig)
    assert own.keys() - inspect.signature(LiftingNet).parameters.keys() == set()


def test_every_model_has_a_task() -> None:
    assert set(variants(AnyModel)) == set(TASKS)


def test_schedules_are_those_that_exist() -> None:
    assert set(variants(AnySchedule)) == set(SCHEDULES)


def test_a_losss_options_know_whether_it_needs_sigma_and_a_flow() -> None:
    for name, variant in variants(AnyLoss).items():
        assert variant.needs_sigma == LOSSES[name].needs_sigma
        assert issubclass(variant, FlowLossConfig) == ("flows" in inspect.signature(LOSSES[name]).parameters)


@pytest.mark.parametrize("union", [AnyModel, AnyLoss, AnyFlow, AnyHead, AnyOptimizer, AnySchedule])
def test_an_option_of_several_variants_is_the_same_in_each(union: Any) -> None:
    for name, found in section_fields(*section_classes(union)).items():
        for owner in found.owners:
            same = section_fields(owner)[name]
            assert name == "name" or (same.hint, same.item.metadata, same.item.default) == (
                found.hint,
                found.item.metadata,
                found.item.default,
            )


def test_a_config_is_read_without_torch() -> None:
    code = "import sys, rlepose.config.reading, rlepose.config.options_page; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_data_formats_are_those_that_can_be_validated_and_trained_on() -> None:
    formats = set(typing.get_args(typing.get_type_hints(DataConfig)["format"]))
    assert formats == set(VALIDATIONS) == set(POSE_EVALUATORS) == set(TABLES)


def test_evaluation_backends_are_the_evaluators_that_exist() -> None:
    assert set(typing.get_args(typing.get_type_hints(EvalConfig)["backend"])) == set(EVALUATORS)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config(name="case").train.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(("dotted", "value", "choice"), list(just_outside()))
def test_a_value_out_of_range_is_refused(dotted: str, value: Any, choice: Mapping[str, str]) -> None:
    with pytest.raises(InputError, match=rf"{re.escape(dotted)}: expected (at least|at most|more than) "):
        config_from_dict(nested(dotted, value, choice))
