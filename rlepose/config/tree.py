"""Raw trees of keys and values, as YAML and checkpoints have them, and the sections that they fill."""

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
    """Who set what. by_name: the file, or --set, by dotted name. rest: who set all other options."""

    by_name: Mapping[str, str]
    rest: str

    def of(self, dotted: str) -> str:
        """The source of an option or, where it has none of its own, of the nearest section above it."""
        while dotted:
            if dotted in self.by_name:
                return self.by_name[dotted]
            dotted = dotted.rpartition(".")[0]
        return self.rest


def config_of_tree(tree: Any, sources: Sources) -> Config:
    """The config that a tree describes. InputError for an entry that its section does not have, or of another type."""
    return _section(Config, (Config,), tree, "", sources)


def nearest(dotted: str) -> str:
    """'; did you mean …?' for a name that no option has, or ''."""
    names = option_names()
    close = difflib.get_close_matches(dotted, names, n=1, cutoff=0.6)
    last = dotted.rpartition(".")[2]
    # The right name in the wrong section is nearer than a similar name.
    same = [name for name in names if name.rpartition(".")[2] == last]
    best = same or close
    return f"; did you mean {best[0]}?" if best else ""


def changeable_tree(config: Config) -> dict[str, Any]:
    """A tree that fills this config, in which another variant may be chosen.

    It leaves out the options that not all variants of a section have, where they are at their defaults.
    """
    return _changeable(config, (Config,))


def without_other_variants(tree: Any) -> Any:
    """The tree of a config of an earlier version, which gave each section the options of all variants, without those
    that the chosen variants do not have."""
    return _own(Config, (Config,), tree)


def options_left_behind(section: str, tree: Mapping[str, Any], name: Any) -> list[str]:
    """Keys of a section's tree that its variant of this name does not have, but another one has.

    section: dotted name. [] where the section has no variants, or none of this name.
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
    """Whether an earlier version stored this tree: with options that no loss has together."""
    loss = tree.get("loss")
    return isinstance(loss, Mapping) and loss.keys() >= {"name", "form", "q", "q_scale", "flow", "heatmap"}


def _chosen(default: Any, classes: tuple[Any, ...], tree: Mapping[str, Any]) -> Any:
    """The class that a section's tree is of; None where no variant has the name that it gives."""
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
    """That the chosen variant does not have an option, and what to do."""
    section, source = dotted.rpartition(".")[0], sources.of(dotted)
    owners: list[Any] = found.owners
    names = " or ".join(owner.name for owner in owners)
    return f"{source}: {dotted}: {chosen} does not have it; leave it out, or set {section}.name={names}"


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
