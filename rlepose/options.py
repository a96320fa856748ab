"""How options are declared: a section is a frozen dataclass, or the variants of one that a `name` chooses.

The sections of a package stand in its options.py, which imports nothing but this file: a config is read without loading
torch. Variants derive from what they have in common, and their union is the section's type:

    @dataclass(frozen=True)
    class OptimizerConfig:
        name: str
        lr: float = option(1e-3, "learning rate", above=0)

    @dataclass(frozen=True)
    class AdamConfig(OptimizerConfig):
        "Adam."
        name: Literal["adam"] = "adam"

    @dataclass(frozen=True)
    class SGDConfig(OptimizerConfig):
        "Stochastic gradient descent."
        name: Literal["sgd"] = "sgd"
        momentum: float = option(0.9, "momentum", low=0, high=0.9999)

    AnyOptimizer = AdamConfig | SGDConfig

A section that holds it declares `optimizer: AnyOptimizer = section(AdamConfig)`.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import field
from typing import Any, NamedTuple


def option(
    default: Any, meaning: str, *, low: float | None = None, high: float | None = None, above: float | None = None
) -> Any:
    """A dataclass field with its documentation and, for numbers, its range: [low, high], or (above, …)."""
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high, "above": above})


def section(default: type) -> Any:
    """A dataclass field that holds a section. default: its class or, where it has variants, a variant's."""
    return field(default_factory=default)


def default_of(item: "dataclasses.Field[Any]") -> Any:
    """What a field made by `option` or `section` holds where nothing is given."""
    factory: Any = item.default_factory
    return item.default if factory is dataclasses.MISSING else factory()


def section_classes(hint: Any) -> tuple[type, ...]:
    """The classes of the section that a field of this type holds: its own, or one a variant; () for an option."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    classes = typing.get_args(hint) if union else (hint,)
    return classes if all(isinstance(one, type) and dataclasses.is_dataclass(one) for one in classes) else ()


def variants(hint: Any) -> dict[str, Any]:
    """The classes of a section's variants, by the names that choose them; {} where its type has none."""
    classes: tuple[Any, ...] = section_classes(hint)
    return {one.name: one for one in classes} if len(classes) > 1 else {}


class SectionField(NamedTuple):
    """An option or a section in a section. owners: the classes that have it, of those that the outer one may be."""

    item: "dataclasses.Field[Any]"
    hint: Any
    owners: list[type]


@functools.cache
def section_fields(*classes: type) -> Mapping[str, SectionField]:
    """All that a section of these classes may hold, by name."""
    found: dict[str, SectionField] = {}
    for one in classes:
        hints = typing.get_type_hints(one)
        for item in dataclasses.fields(one):  # type: ignore[arg-type]
            found.setdefault(item.name, SectionField(item, hints[item.name], [])).owners.append(one)
    return found


def own_options(variant: Any, common: type) -> dict[str, Any]:
    """The options of a variant that `common`, from which all variants derive, does not have: values by name.

    Sections stay as they are. What a variant chooses is built with these as keyword arguments.
    """
    common_names = {item.name for item in dataclasses.fields(common)}
    names = [item.name for item in dataclasses.fields(variant)]
    return {name: getattr(variant, name) for name in names if name not in common_names}
