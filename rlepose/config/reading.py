"""Read YAML and command-line options into a checked `Config`.

A YAML file (with `base:` for a file to inherit from) and `--set section.key=value` are merged into one raw tree, which
tree.py checks against the dataclasses in each package's options.py. An error names the file, the key, the expected
value and the nearest valid name.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from easydict import EasyDict

from rlepose.config.config import Config
from rlepose.config.contradictions import contradictions
from rlepose.config.names import option_types
from rlepose.config.path_values import expand_paths
from rlepose.config.tree import (
    Sources,
    changeable_tree,
    config_of_tree,
    has_all_variants,
    nearest,
    options_left_behind,
    without_other_variants,
)
from rlepose.errors import InputError
from rlepose.paths import expanded


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file, its bases, and `section.key=value` overrides.

    The `name` of a section selects its variant. If a file or `--set` selects another variant than its base, the options
    that only the base's variant has are dropped; options of a variant that is not selected are rejected. In paths, `~`
    and `$NAME` are replaced (`expand_paths`). Raises InputError for any error.
    """
    path = Path(path)
    origin: dict[str, str] = {}
    tree = EasyDict(_read_with_bases(path, origin, ()))
    tree.setdefault("name", path.stem)
    for text in overrides:
        _override(tree, text, origin)
    expand_paths(tree, origin)
    return config_from_dict(tree, origin, str(path))


def with_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """Return the config with `section.key=value` changes."""
    origin: dict[str, str] = {}
    tree = changeable_tree(config)
    for text in overrides:
        _override(tree, text, origin)
    expand_paths(tree, origin)
    return config_from_dict(tree, origin)


def config_from_dict(
    tree: Mapping[str, Any], origin: Mapping[str, str] | None = None, source: str = "config"
) -> Config:
    """Check a raw tree. origin: the file that set a key, by dotted name. source: names the origin of all other keys."""
    sources = Sources(origin or {}, source)
    config = config_of_tree(tree, sources)
    for dotted, problem in contradictions(config):
        raise InputError(f"{sources.of(dotted)}: {dotted}: {problem}")
    return config


def _read_with_bases(path: Path, origin: dict[str, str], seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise InputError(f"{path}: `base` leads back to this file; remove one of the `base` lines")
    tree = read_yaml(path)
    if has_all_variants(tree):
        tree = without_other_variants(tree)
    base = tree.pop("base", None)
    merged: dict[str, Any] = {}
    if base is not None:
        if not isinstance(base, str):
            raise InputError(f"{path}: base: expected the path of one YAML file, got {base!r}")
        merged = _read_with_bases(
            path.parent / expanded(base, path.parent, f"{path}: base"), origin, (*seen, path.resolve())
        )
    _merge(merged, tree, str(path), origin)
    return merged


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, except that a duplicate key is an error and not a silent overwrite."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":  # `<<: *name` may repeat keys of its mapping
                continue
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is not text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} appears twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a file's keys and values, unchecked; InputError if it is no YAML mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot read the config file ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the config file is not UTF-8 text; save it as UTF-8") from error
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
    """Merge `tree` into `into`. Mappings are merged; an option's empty mapping removes the existing value.

    A `name` that selects another variant of a section drops the options of other sources that this variant lacks.
    """
    for key, value in tree.items():
        dotted = f"{prefix}{key}"
        origin[dotted] = source
        if hasattr(dict, key):  # 'items' and the like, which EasyDict cannot store
            raise InputError(f"{source}: {dotted}: no such option{nearest(dotted)}")
        if isinstance(value, Mapping) and (value or dotted not in option_types()):
            if not isinstance(into.get(key), Mapping):
                into[key] = {}
            for left in options_left_behind(dotted, into[key], value.get("name")):
                if not _set_by(source, f"{dotted}.{left}", origin):
                    del into[key][left]
            _merge(into[key], value, source, origin, f"{dotted}.")
        else:
            into[key] = value


def _set_by(source: str, dotted: str, origin: Mapping[str, str]) -> bool:
    """Return whether this source set an option, or an option in a section of this name."""
    return any(who == source and f"{name}.".startswith(f"{dotted}.") for name, who in origin.items())


def _override(tree: dict[str, Any], text: str, origin: dict[str, str]) -> None:
    dotted, equals, value_text = text.partition("=")
    if not equals or not all(key.strip() for key in dotted.split(".")):
        raise InputError(f"--set {text}: expected section.key=value, for example --set train.epochs=20")
    dotted, value_text = dotted.strip(), value_text.strip()
    value: Any
    if (
        option_types().get(dotted) in (str, str | None)
        and value_text not in ("", "null")
        and value_text[0] not in "'\""
    ):
        value = value_text  # a path or a name, whatever YAML would make of `3`, `a: b` or `run #2`
    else:
        try:
            value = yaml.load(value_text, _UniqueKeyLoader)
        except yaml.YAMLError as error:
            raise InputError(f"--set {text}: the value is not valid YAML; quote it") from error
    for key in reversed(dotted.split(".")):
        value = {key: value}
    _merge(tree, value, "--set", origin)
