"""Entries of COCO's lists, with ids, sizes and flags as numbers, however a tool wrote them."""

import re
from pathlib import Path
from typing import Any

from rlepose.errors import InputError

_NUMBER = re.compile(r"\s*-?[0-9]+(\.[0-9]*)?\s*")
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


def whole_number(value: Any) -> int | None:
    """A whole number, also one written as 640.0 or "640"; None for anything else.

    >>> whole_number(640.0), whole_number("12"), whole_number("a1"), whole_number(None)
    (640, 12, None, None)
    """
    if isinstance(value, str):
        if len(value) >= 20 or not _NUMBER.fullmatch(value):  # Python reads 1_2 as 12, too
            return None
        value = float(value) if "." in value else int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return int(value) if isinstance(value, int) and abs(value) < 2**63 else None


def flag(value: Any) -> bool | None:
    """A flag, also one written as text; None for what is neither yes nor no. A missing one, null, is no."""
    if isinstance(value, str):
        return True if value.lower() in _TRUE else False if value.lower() in _FALSE else None
    return bool(value) if value is None or isinstance(value, int | float) else None


def entries(path: Path, tree: Any, key: str) -> list[dict[str, Any]]:
    """The list of this name in a parsed file, with whole numbers as ids.

    Raises InputError where the list or an id is missing, and for ids that are not unique.
    """
    if not isinstance(tree, dict) or not isinstance(tree.get(key), list):
        raise InputError(f"{path}: no list '{key}'; expected COCO's layout")
    seen: set[int] = set()
    found = []
    for number, entry in enumerate(tree[key]):
        identity = whole_number(entry.get("id")) if isinstance(entry, dict) else None
        if identity is None:
            got = f"has the id {entry.get('id')!r}" if isinstance(entry, dict) else "is no object"
            raise InputError(
                f"{path}: {key}: entry {number} {got}; number the entries, a whole number each as 'id', and refer to "
                "these numbers in image_id and category_id"
            )
        if identity in seen:
            raise InputError(f"{path}: {key}: id {identity} appears twice; ids must be unique")
        seen.add(identity)
        found.append(entry if type(entry["id"]) is int else entry | {"id": identity})
    return found


def person_entry(path: Path, annotation: dict[str, Any]) -> dict[str, Any]:
    """An annotation whose image_id and category_id are whole numbers where they can be, and whose iscrowd is a flag.

    Raises InputError for ids that are lists or objects, and for a crowd flag that says neither yes nor no.
    """
    changes: dict[str, Any] = {}
    for key in ("image_id", "category_id"):
        value = annotation.get(key)
        if type(value) is int:
            continue
        if isinstance(value, list | dict):
            raise InputError(f"{path}: annotation {annotation['id']}: {key}: expected a number, got {value}")
        if (number := whole_number(value)) is not None:
            changes[key] = number
    crowd = annotation.get("iscrowd", 0)
    if isinstance(crowd, str) or not isinstance(crowd, int | float | None):
        changes["iscrowd"] = flag(crowd)
        if changes["iscrowd"] is None:
            raise InputError(f"{path}: annotation {annotation['id']}: iscrowd: expected 0 or 1, got {crowd!r}")
    return annotation | changes if changes else annotation
