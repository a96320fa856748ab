"""Replace `~` and environment variables in the path options that a user set."""

from collections.abc import Mapping
from typing import Any

from rlepose.config.config import Config
from rlepose.config.names import option_values, path_options
from rlepose.options import PathSyntax
from rlepose.paths import expanded


def expand_paths(tree: dict[str, Any], origin: Mapping[str, str]) -> None:
    """Replace the values of path options in a raw tree by the values of `expanded`, so that they are stored that way.

    origin: the file, or --set, that set an option, by dotted name; other options are stored values, and stay as they
    are. InputError, with the source and the option, for an unset variable.
    """
    for dotted, syntax in path_options().items():
        section, _, key = dotted.rpartition(".")
        options: Any = _at(tree, section)
        if dotted in origin and isinstance(options, dict) and key in options:
            options[key] = _value(options[key], syntax, _folder(tree, syntax), f"{origin[dotted]}: {dotted}")


def _at(tree: Any, dotted: str) -> Any:
    """Return the value of a dotted name, None if it is not set; the tree for ''."""
    for key in filter(None, dotted.split(".")):
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _folder(tree: Any, syntax: PathSyntax) -> str:
    """Return the folder that an option's path is relative to; '' for the working directory."""
    if syntax.below is None:
        return ""
    folder = _at(tree, syntax.below)
    return folder if isinstance(folder, str) else option_values(Config())[syntax.below]


def _value(value: Any, syntax: PathSyntax, below: str, source: str) -> Any:
    """Return an option's value with its path, or its list of paths, replaced; anything else is returned as it is."""
    if isinstance(value, list | tuple):
        return [_value(one, syntax, below, source) for one in value]
    if not isinstance(value, str) or not value.startswith(syntax.after):
        return value
    return syntax.after + expanded(value.removeprefix(syntax.after), below, source)
