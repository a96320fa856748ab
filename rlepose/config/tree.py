"""Raw trees of keys and values, from YAML and checkpoints, and the sections that they fill."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlepose.config.config import Config, plain
from rlepose.config.names import option_names
from rlepose.config.values import converted
from rlepose.errors import InputError
from rlepose.options import SectionField, default_of, section_classes, section_fields


@dataclass(frozen=True)
class Sources:
    """The origin of options. by_name: the file, or --set, by dotted name. rest: the origin of all other options."""

    by_name: Mapping[str, str]
    rest: str

    def of(self, dotted: str) -> str:
        """Return the source of an option or, if unknown, of the nearest section above it."""
        while dotted:
            if dotted in self.by_name:
                return self.by_name[dotted]
            dotted = dotted.rpartition(".")[0]
        return self.rest


def config_of_tree(tree: Any, sources: Sources) -> Config:
    """Return the config that a tree describes. InputError for an unknown key or a value of the wrong type."""
    return _section(Config, (Config,), tree, "", sources)


def nearest(dotted: str) -> str:
    """Return '; did you mean …?' for an unknown option, or ''."""
    names = option_names()
    close = difflib.get_close_matches(dotted, names, n=1, cutoff=0.6)
    last = dotted.rpartition(".")[2]
    # The right name in the wrong section is a better guess than a similar name.
    same = [name for name in names if name.rpartition(".")[2] == last]
    best = same or close
    return f"; did you mean {best[0]}?" if best else ""


def changeable_tree(config: Config) -> dict[str, Any]:
    """Return a tree that describes this config and allows another variant to be selected.

    Options that not all variants of a section have are omitted if they have their default values.
    """
    return _changeable(config, (Config,))


def without_other_variants(tree: Any) -> Any:
    """Drop the options of variants that are not selected from a tree of an earlier version, whose sections had the
    options of all variants."""
    return _own(Config, (Config,), tree)


def options_left_behind(section: str, tree: Mapping[str, Any], name: Any) -> list[str]:
    """Return the keys of a section's tree that belong to another variant than the one named.

    section: dotted name. [] if the section has no variants, or none of this name.
    """
    classes: tuple[Any, ...] = (Config,)
    for key in section.split("."):
        found = section_fields(*classes).get(key)
        classes = section_classes(found.hint) if found is not None else ()
        if not classes:
            return []
    chosen = next((one for one in classes if len(classes) > 1 and one.name == name), None)
    if chosen is None:
        return []
    return [key for key in tree if key in section_fields(*classes) and key not in section_fields(chosen)]


def has_all_variants(tree: Mapping[str, Any]) -> bool:
    """Return whether an earlier version stored this tree: with options that no single loss has."""
    loss = tree.get("loss")
    return isinstance(loss, Mapping) and loss.keys() >= {"name", "form", "q", "q_scale", "flow", "heatmap"}


def _chosen(default: Any, classes: tuple[Any, ...], tree: Mapping[str, Any]) -> Any:
    """Return the class of a section's tree; None if no variant has the name in it."""
    if len(classes) == 1:
        return classes[0]
    name = tree.get("name", default.name)
    return next((one for one in classes if one.name == name), None)


def _section(default: Any, classes: tuple[Any, ...], tree: Any, prefix: str, sources: Sources) -> Any:
    section = prefix.rstrip(".")
    if not isinstance(tree, Mapping):
        raise InputError(f"{sources.of(section)}: {section}: expected a section with keys, got {tree!r}")
    chosen = _chosen(default, classes, tree)
    if chosen is None:
        names, given = ", ".join(one.name for one in classes), tree["name"]
        raise InputError(f"{sources.of(f'{prefix}name')}: {prefix}name: expected one of {names}, got {given!r}")
    values = {}
    for key, value in tree.items():
        dotted = f"{prefix}{key}"
        if key in section_fields(chosen):
            values[key] = _value(section_fields(chosen)[key], value, dotted, sources)
        elif key not in section_fields(*classes):
            raise InputError(f"{sources.of(dotted)}: {dotted}: no such option{nearest(dotted)}")
        else:
            raise InputError(_of_other_variants(chosen.name, section_fields(*classes)[key], dotted, sources))
    return chosen(**values)


def _value(found: SectionField, value: Any, dotted: str, sources: Sources) -> Any:
    below = section_classes(found.hint)
    if below:
        return _section(found.item.default_factory, below, value, f"{dotted}.", sources)
    try:
        return converted(value, found)
    except ValueError as error:
        raise InputError(f"{sources.of(dotted)}: {dotted}: expected {error}, got {value!r}") from None


def _of_other_variants(chosen: str, found: SectionField, dotted: str, sources: Sources) -> str:
    """Return the message that the selected variant lacks an option, with the fix."""
    section, source = dotted.rpartition(".")[0], sources.of(dotted)
    owners: list[Any] = found.owners
    names = " or ".join(owner.name for owner in owners)
    return f"{source}: {dotted}: {chosen} has no such option; remove it, or set {section}.name={names}"


def _changeable(section: Any, classes: tuple[type, ...]) -> dict[str, Any]:
    own: Any = type(section)
    tree = {}
    for name, found in section_fields(own).items():
        value = getattr(section, name)
        shared = len(section_fields(*classes)[name].owners) == len(classes)
        if shared or value != default_of(found.item):
            below = section_classes(found.hint)
            tree[name] = _changeable(value, below) if below else plain(value)
    return tree


def _own(default: Any, classes: tuple[type, ...], tree: Any) -> Any:
    chosen = _chosen(default, classes, tree) if isinstance(tree, Mapping) else None
    if chosen is None:
        return tree
    kept = {}
    for key, value in tree.items():
        found = section_fields(*classes).get(key)
        if found is None:
            kept[key] = value
        elif chosen in found.owners:
            below = section_classes(found.hint)
            kept[key] = _own(found.item.default_factory, below, value) if below else value
    return kept
