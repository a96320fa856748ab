"""Access options by dotted names, such as train.optimizer.lr."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from rlepose.config.config import Config, plain
from rlepose.options import PathSyntax, SectionField, section_classes, section_fields


@functools.cache
def option_types() -> Mapping[str, Any]:
    """Return the type of each option of each variant, by dotted name."""
    return {dotted: str if found.item.name == "name" else found.hint for dotted, found in _option_fields((Config,), "")}


@functools.cache
def path_options() -> Mapping[str, PathSyntax]:
    """Return the syntax of each option that is a path, by dotted name; first those that others are relative to."""
    found = {
        dotted: found.item.metadata["path"]
        for dotted, found in _option_fields((Config,), "")
        if "path" in found.item.metadata
    }
    return dict(sorted(found.items(), key=lambda option: option[1].below is not None))


def option_names() -> list[str]:
    """Return the dotted names of all options of all variants."""
    return list(option_types())


def option_values(config: Config) -> dict[str, Any]:
    """Return the options of a config: values in plain types, by dotted name."""
    return dict(_option_values(config, ""))


def changed_options(config: Config) -> dict[str, Any]:
    """Return the options of a config that differ from their defaults."""
    return dict(_changed_options(config, Config(), ""))


def differences(old: Config, new: Config) -> list[str]:
    """Return 'train.epochs: 20 -> 30' for each option that both configs have and that differs."""
    before, now = option_values(old), option_values(new)
    return [f"{name}: {before[name]} -> {now[name]}" for name in before if before[name] != now.get(name, before[name])]


def _option_fields(classes: tuple[type, ...], prefix: str) -> Iterator[tuple[str, SectionField]]:
    for name, found in section_fields(*classes).items():
        below = section_classes(found.hint)
        if below:
            yield from _option_fields(below, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", found


def _option_values(section: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for item in dataclasses.fields(section):
        value = getattr(section, item.name)
        if dataclasses.is_dataclass(value):
            yield from _option_values(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", plain(value)


def _changed_options(section: Any, usual: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if type(section) is not type(usual):
        yield f"{prefix}name", section.name
        usual = type(section)()
    for item in dataclasses.fields(section):
        value, default = getattr(section, item.name), getattr(usual, item.name)
        if dataclasses.is_dataclass(value):
            yield from _changed_options(value, default, f"{prefix}{item.name}.")
        elif value != default:
            yield f"{prefix}{item.name}", plain(value)
