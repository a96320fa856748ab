"""docs/options.md: every option of config.py, generated so that the page cannot fall behind."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

import yaml

from rlepose.config.config import Config

COMMAND = "python scripts/list_options.py"


def options_page() -> str:
    """The page, in Markdown."""
    intro = (
        "# Options\n\n"
        f"Generated from [rlepose/config/config.py](../rlepose/config/config.py) by `{COMMAND}`; edit that file, not "
        "this one.\n\n"
        "In a YAML file an option stands below its section's name, and `--set section.key=value` changes it on the "
        "command line. Ranges include their ends, but for >.\n\n"
    )
    return intro + "\n".join(_tables(Config, ""))


def _tables(kind: Any, prefix: str) -> list[str]:
    """The table of a section, then those of the sections in it."""
    hints = typing.get_type_hints(kind)
    rows, below = [], []
    for item in dataclasses.fields(kind):
        hint = hints[item.name]
        if dataclasses.is_dataclass(hint):
            below += _tables(hint, f"{prefix}{item.name}.")
        else:
            cells = (f"`{prefix}{item.name}`", _type(hint), f"`{_default(item)}`", _range(item.metadata))
            rows.append("| " + " | ".join([*map(_escaped, cells), _escaped(item.metadata["meaning"])]) + " |")
    summary = (kind.__doc__ or "").strip()
    head = f"## {prefix.rstrip('.') or 'The experiment'}\n\n{summary}\n"
    if rows:
        head += "\n| option | type | default | range | meaning |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    return [head, *below]


def _type(hint: Any) -> str:
    """In words, as YAML writes it."""
    kind, arguments = typing.get_origin(hint), typing.get_args(hint)
    if kind in (Union, types.UnionType):
        return ", or ".join([*(_type(argument) for argument in arguments if argument is not type(None)), "null"])
    if kind is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if kind is tuple:
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} × "
        return f"list of {count}{_type(arguments[0])}".replace("of list", "of lists").removesuffix("s") + "s"
    if kind is dict:
        return "mapping"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}[hint]


def _default(item: "dataclasses.Field[Any]") -> str:
    factory: Any = item.default_factory
    value = item.default if factory is dataclasses.MISSING else factory()
    text = yaml.safe_dump(_nested_lists(value), default_flow_style=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")


def _nested_lists(value: Any) -> Any:
    return [_nested_lists(entry) for entry in value] if isinstance(value, list | tuple) else value


def _range(limits: Mapping[str, Any]) -> str:
    low, high, above = (limits.get(name) for name in ("low", "high", "above"))
    parts = [f"> {above:g}"] if above is not None else []
    if low is not None and high is not None:
        return f"{low:g} … {high:g}"
    parts += [f"≥ {low:g}"] if low is not None else []
    parts += [f"≤ {high:g}"] if high is not None else []
    return ", ".join(parts)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
