"""From YAML and the command line to a checked `Config`.

A YAML file (with `base:` for what it shares with another one) and `--set section.key=value` are merged into one raw
tree, which is checked against the dataclasses in config.py. A wrong entry is refused with the file, the key, what was
expected and the nearest valid name.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

import yaml
from easydict import EasyDict

from rlepose.config.config import Config, option_names, option_types
from rlepose.config.contradictions import contradictions
from rlepose.errors import InputError


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file, its bases, and `section.key=value` overrides.

    Raises InputError for whatever is wrong in them.
    """
    path = Path(path)
    origin: dict[str, str] = {}
    tree = EasyDict(_read_with_bases(path, origin, ()))
    tree.setdefault("name", path.stem)
    for text in overrides:
        _override(tree, text, origin)
    return config_from_dict(tree, origin, str(path))


def with_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """The config with `section.key=value` changes."""
    origin: dict[str, str] = {}
    tree = config.to_dict()
    for text in overrides:
        _override(tree, text, origin)
    return config_from_dict(tree, origin)


def config_from_dict(
    tree: Mapping[str, Any], origin: Mapping[str, str] | None = None, source: str = "config"
) -> Config:
    """Check a raw tree; `origin` maps a dotted key to the file that set it, `source` names the rest."""
    config = _build(Config, tree, "", origin or {}, source)
    for dotted, problem in contradictions(config):
        raise InputError(f"{_source_of(dotted, origin or {}, source)}: {dotted}: {problem}")
    return config


def _read_with_bases(path: Path, origin: dict[str, str], seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise InputError(f"{path}: `base` leads back to this file; take one of the `base` lines out")
    tree = read_yaml(path)
    base = tree.pop("base", None)
    merged: dict[str, Any] = {}
    if base is not None:
        if not isinstance(base, str):
            raise InputError(f"{path}: base: expected the path of one YAML file, got {base!r}")
        merged = _read_with_bases(path.parent / base, origin, (*seen, path.resolve()))
    _merge(merged, tree, str(path), origin)
    return merged


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, but a key that stands twice is an error instead of a silent overwrite."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":  # `<<: *name` may stand beside keys that it also brings
                continue
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is not text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def read_yaml(path: Path) -> dict[str, Any]:
    """A file's keys and values, unchecked; InputError where it is no YAML mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot read the config file ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the config file is not UTF-8 text; save it as such") from error
    try:
        tree = yaml.load(text, _UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected `section: {{key: value}}`, got {type(tree).__name__}")
    return tree


def _merge(
    into: dict[str, Any], tree: Mapping[str, Any], source: str, origin: dict[str, str], prefix: str = ""
) -> None:
    """Put `tree` over `into`. Mappings are merged; an option's empty one takes away what was there."""
    for key, value in tree.items():
        dotted = f"{prefix}{key}"
        origin[dotted] = source
        if hasattr(dict, key):  # 'items' and the like, which EasyDict cannot hold
            raise InputError(f"{source}: {dotted}: no such option{_nearest(dotted)}")
        if isinstance(value, Mapping) and (value or dotted not in option_types()):
            if not isinstance(into.get(key), Mapping):
                into[key] = {}
            _merge(into[key], value, source, origin, f"{dotted}.")
        else:
            into[key] = value


def _override(tree: dict[str, Any], text: str, origin: dict[str, str]) -> None:
    dotted, equals, value_text = text.partition("=")
    if not equals or not dotted.strip():
        raise InputError(f"--set {text}: expected section.key=value, for example --set train.epochs=20")
    dotted, value_text = dotted.strip(), value_text.strip()
    value: Any
    if (
        option_types().get(dotted) in (str, str | None)
        and value_text not in ("", "null")
        and value_text[0] not in "'\""
    ):
        value = value_text  # a path or name, whatever YAML would make of `3`, `a: b` or `run #2`
    else:
        try:
            value = yaml.load(value_text, _UniqueKeyLoader)
        except yaml.YAMLError as error:
            raise InputError(f"--set {text}: the value is not valid YAML; quote it") from error
    for key in reversed(dotted.split(".")):
        value = {key: value}
    _merge(tree, value, "--set", origin)


def _source_of(dotted: str, origin: Mapping[str, str], default: str) -> str:
    """The file that set a key: its own entry or that of the nearest section above it."""
    while dotted:
        if dotted in origin:
            return origin[dotted]
        dotted = dotted.rpartition(".")[0]
    return default


def _build(kind: Any, tree: Any, prefix: str, origin: Mapping[str, str], source: str) -> Any:
    if not isinstance(tree, Mapping):
        where = _source_of(prefix.rstrip("."), origin, source)
        raise InputError(f"{where}: {prefix.rstrip('.')}: expected a section with keys, got {tree!r}")
    fields = {item.name: item for item in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in tree.items():
        dotted = f"{prefix}{key}"
        where = _source_of(dotted, origin, source)
        if key not in fields:
            raise InputError(f"{where}: {dotted}: no such option{_nearest(dotted)}")
        if dataclasses.is_dataclass(hints[key]):
            values[key] = _build(hints[key], value, f"{dotted}.", origin, source)
        else:
            try:
                values[key] = _convert(value, hints[key])
                _check_range(values[key], fields[key].metadata)
            except ValueError as error:
                raise InputError(f"{where}: {dotted}: expected {error}, got {value!r}") from None
    return kind(**values)


def _nearest(dotted: str) -> str:
    names = option_names()
    close = difflib.get_close_matches(dotted, names, n=1, cutoff=0.6)
    last = dotted.rpartition(".")[2]
    # The right name in the wrong section is nearer than a similar name.
    same = [name for name in names if name.rpartition(".")[2] == last]
    best = same or close
    return f"; did you mean {best[0]}?" if best else ""


def _convert(value: Any, hint: Any) -> Any:
    """The value as the type of its option; ValueError says what was expected."""
    kind = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if kind in (Union, types.UnionType):
        if value is None:
            return None
        return _convert_to_one_of(value, [argument for argument in arguments if argument is not type(None)])
    if kind is Literal:
        if value not in arguments:
            raise ValueError("one of " + ", ".join(map(str, arguments)))
        return value
    if kind is tuple:
        return _convert_tuple(value, arguments)
    if kind is dict:
        if not isinstance(value, Mapping):
            raise ValueError("a mapping {name: value}")
        return dict(value)
    if hint is float:
        return _number(value)
    if hint is int:
        # bool is an int to Python, and 20.0 is one to a person
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
            raise ValueError("a whole number")
        return int(value)
    if not isinstance(value, hint):
        raise ValueError({bool: "true or false", str: "text"}[hint])
    return value


def _convert_to_one_of(value: Any, hints: list[Any]) -> Any:
    problems = []
    for hint in hints:
        try:
            return _convert(value, hint)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(" or ".join(problems))


def _convert_tuple(value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("a list")
    if arguments[-1] is Ellipsis:
        return tuple(_convert(item, arguments[0]) for item in value)
    if len(value) != len(arguments):
        raise ValueError(f"a list of {len(arguments)} values")
    return tuple(_convert(item, argument) for item, argument in zip(value, arguments, strict=True))


def _number(value: Any) -> float:
    # YAML 1.1 reads 1e-3, without a dot, as text; a number is meant.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number")
    try:
        number = float(value)
    except ValueError:
        raise ValueError("a number") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError("a finite number")
    return number


def _check_range(value: Any, metadata: Mapping[str, Any]) -> None:
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        low, high, above = (metadata.get(name) for name in ("low", "high", "above"))
        if low is not None and number < low:
            raise ValueError(f"at least {low}")
        if above is not None and number <= above:
            raise ValueError(f"more than {above}")
        if high is not None and number > high:
            raise ValueError(f"at most {high}")
