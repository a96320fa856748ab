"""Declare options: a section is a frozen dataclass, or a union of variants that the field `name` selects.

The sections of a package are in the package's options.py, which imports nothing but this file, so that a config is read
without loading torch. Variants derive from a common base class, and their union is the type of the section:

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

The enclosing section declares `optimizer: AnyOptimizer = section(AdamConfig)`.
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
    """Return a dataclass field with its documentation and, for numbers, its range: [low, high], or (above, …)."""
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high, "above": above})


def path_option(default: Any, meaning: str, *, below: str | None = None, after: str = "") -> Any:
    """Return a dataclass field for a path, or a list of paths, in which `~` and `$NAME` are replaced.

    below: dotted name of the option with the folder that the path is relative to; None: the working directory.
    after: text before the path, if only values that begin with it contain a path.
    """
    return field(default=default, metadata={"meaning": meaning, "path": PathSyntax(below, after)})


class PathSyntax(NamedTuple):
    """How an option's value is read as a path: the arguments of `path_option`."""

    below: str | None
    after: str


def section(default: type) -> Any:
    """Return a dataclass field for a section. default: the section's class or, for a union, the default variant."""
    return field(default_factory=default)


def default_of(item: "dataclasses.Field[Any]") -> Any:
    """Return the default value of a field made by `option` or `section`."""
    factory: Any = item.default_factory
    return item.default if factory is dataclasses.MISSING else factory()


def section_classes(hint: Any) -> tuple[type, ...]:
    """Return the section classes of a field's type: one class, or one per variant; () if the field is an option."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    classes = typing.get_args(hint) if union else (hint,)
    return classes if all(isinstance(one, type) and dataclasses.is_dataclass(one) for one in classes) else ()


def variants(hint: Any) -> dict[str, Any]:
    """Return the variants of a section's type by name; {} if the type is not a union."""
    classes: tuple[Any, ...] = section_classes(hint)
    return {one.name: one for one in classes} if len(classes) > 1 else {}


class SectionField(NamedTuple):
    """An option or a section inside a section. owners: the variants of the outer section that declare the field."""

    item: "dataclasses.Field[Any]"
    hint: Any
    owners: list[type]


@functools.cache
def section_fields(*classes: type) -> Mapping[str, SectionField]:
    """Return all fields of these section classes by name."""
    found: dict[str, SectionField] = {}
    for one in classes:
        hints = typing.get_type_hints(one)
        for item in dataclasses.fields(one):  # type: ignore[arg-type]
            found.setdefault(item.name, SectionField(item, hints[item.name], [])).owners.append(one)
    return found


def own_options(variant: Any, common: type) -> dict[str, Any]:
    """Return the options of a variant that its base class `common` lacks: values by option name.

    Sections are not unpacked. The class that a variant selects takes these values as keyword arguments.
    """
    common_names = {item.name for item in dataclasses.fields(common)}
    names = [item.name for item in dataclasses.fields(variant)]
    return {name: getattr(variant, name) for name in names if name not in common_names}
