"""docs/options.md: every option, generated so that the page is never out of date."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

import yaml

from rlepose.config.config import Config
from rlepose.options import SectionField, default_of, section_classes, section_fields

COMMAND = "python scripts/list_options.py"


def options_page() -> str:
    """Return the page in Markdown."""
    intro = (
        "# Options\n\n"
        "Generated from [config.py](../rlepose/config/config.py) and the `options.py` of each package by "
        f"`{COMMAND}`; edit these files, not this page.\n\n"
        "In a YAML file, an option is a key of its section; on the command line, `--set section.key=value` changes it. "
        "Ranges include their bounds, except after >.\n\n"
        "In paths, `~`, `$NAME` and `${NAME}` mean what they mean in a shell. They are replaced when a YAML file or "
        "`--set` is read, so that checkpoints and `config.yaml` contain the paths that were used. A variable that is "
        "not set is an error; a `$` in the name of a file or folder that exists is part of the name.\n\n"
        'Some sections have variants, and the section\'s `name` selects one. The column "only with" lists the variants '
        "that have an option; other variants reject it. If a file or `--set` selects another variant than its `base`, "
        "options that the base set for its own variant are dropped.\n\n"
    )
    return intro + "\n".join(_section((Config,), Config, "", ""))


def _section(classes: tuple[type, ...], default: type, prefix: str, only: str) -> list[str]:
    """Return the text on a section and the sections in it. only: the choice that makes the section exist."""
    names = {one: one.name for one in classes} if len(classes) > 1 else {}  # type: ignore[attr-defined]
    rows, below = [], []
    for key, found in section_fields(*classes).items():
        dotted = f"{prefix}{key}"
        owners = [f"`{names[one]}`" for one in found.owners] if len(found.owners) < len(classes) else []
        sections: Any = section_classes(found.hint)
        if sections:
            needs = f"Only with `{prefix}name`: {', '.join(owners)}." if owners else ""
            below += _section(sections, found.item.default_factory, f"{dotted}.", needs)  # type: ignore[arg-type]
            continue
        if names and key == "name":
            values, usual = ", ".join(f"`{name}`" for name in names.values()), names[default]
            limits, meaning = "", "selects one of the above"
        else:
            values, usual = _type(found), _default(found.item)
            limits, meaning = _range(found.item.metadata), found.item.metadata["meaning"]
        rows.append([f"`{dotted}`", *([", ".join(owners)] if names else []), values, f"`{usual}`", limits, meaning])
    text = [f"## {prefix.rstrip('.') or 'The experiment'}", " ".join(filter(None, [_summary(_base(classes)), only]))]
    text += ["\n".join(f"- `{name}`: {_summary(one)}" for one, name in names.items())] if names else []
    if rows:
        head = ["option", *(["only with"] if names else []), "type", "default", "range", "meaning"]
        text.append("\n".join(map(_row, [head, ["---"] * len(head), *rows])))
    return ["\n\n".join(text) + "\n", *below]


def _base(classes: tuple[type, ...]) -> type:
    """Return the base class of a section's classes; its docstring describes the section."""
    return [one for one in classes[0].__mro__ if dataclasses.is_dataclass(one)][-1]


def _summary(section: type) -> str:
    return " ".join((section.__doc__ or "").split())


def _row(cells: list[str]) -> str:
    return "|" + "|".join(cell if cell == "---" else f" {_escaped(cell)} " for cell in cells) + "|"


def _type(found: SectionField) -> str:
    """Return the type of an option in words, as in YAML."""
    syntax, words = found.item.metadata.get("path"), _type_of_hint(found.hint)
    return words if syntax is None or syntax.after else words.replace("text", "path")


def _type_of_hint(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return ", or ".join(
            [*(_type_of_hint(argument) for argument in arguments if argument is not type(None)), "null"]
        )
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} × "
        return f"list of {count}{_type_of_hint(arguments[0])}".replace("of list", "of lists").removesuffix("s") + "s"
    if origin is dict:
        return "mapping"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}[hint]


def _default(item: "dataclasses.Field[Any]") -> str:
    text = yaml.safe_dump(_nested_lists(default_of(item)), default_flow_style=True, width=1000)
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
