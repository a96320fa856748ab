"""What compare_commits.py compares: logs, checkpoints and JSON files of two runs, number by number.

In what is said of a difference, '1.0 -> 1.1' stands for the value in the first run and in the second; what the second
lacks is missing, and what it alone has is added.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CHECKPOINTS = ("last.pt", "best.pt")
NOT_RESULTS = ("validation.json",)  # says where and when numbers were measured
TIME = re.compile("per_second|seconds")
RENAMED = {"images": "persons"}  # names in metrics.jsonl of former versions, and their names now
INDEX = re.compile(r"\[\d+\]")

Key = tuple[str, str]  # where a value stands, such as "step 7", and its name


class UnreadableError(Exception):
    """A run left no checkpoint or log that can be read."""


@dataclass(frozen=True)
class Comparison:
    """How many values, tensors or files were compared, how many of them differ, and a sentence on the first of these.

    new: names that only the second run has, and that are no difference.
    """

    count: int = 0
    differing: int = 0
    first: str = ""
    new: frozenset[str] = frozenset()

    def __add__(self, other: "Comparison") -> "Comparison":
        count, differing = self.count + other.count, self.differing + other.differing
        return Comparison(count, differing, self.first or other.first, self.new | other.new)

    def within(self, what: str) -> "Comparison":
        """The same, with a word on where the first difference is."""
        return replace(self, first=f"{what}: {self.first}" if self.first else "")


NOTHING = Comparison(0, 1, "nothing to compare")


def compare_trainings(a: Path, b: Path) -> dict[str, Comparison]:
    """Losses, weights and metrics of two experiment folders: those of the log and of the checkpoints."""
    logs = [_log(run) for run in (a, b)]
    weights = Comparison()
    for file in CHECKPOINTS:
        tensors = (read_tensors(run / "checkpoints" / file) for run in (a, b))
        weights += compare_tensors(*tensors).within(file)
    return {
        "losses": compare_values(*(log["losses"] for log in logs)),
        "weights": weights,
        "metrics": compare_values(*(log["metrics"] for log in logs)),
    }


def compare_folders(a: Path, b: Path) -> Comparison:
    """All files below two folders but for NOT_RESULTS: JSON value by value, others by their bytes."""
    return compare_values(_file_values(a), _file_values(b))


def compare_values(a: Mapping[Key, Any], b: Mapping[Key, Any]) -> Comparison:
    """Numbers and texts by their keys. A name that the first run has nowhere is new."""
    if not a:
        return NOTHING
    known = {name for _, name in a}
    keys = [*a, *(key for key in b if key not in a and key[1] in known)]
    differing = [key for key in keys if key not in a or key not in b or not _same(a[key], b[key])]
    first = ""
    if differing:
        where, name = key = differing[0]
        first = f"{where}, {name}: {_presence(key, a, b) or f'{a[key]} -> {b[key]}{_apart(name, a, b)}'}"
    return Comparison(len(a), len(differing), first, frozenset(name for _, name in b if name not in known))


def compare_tensors(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Comparison:
    """Tensors by their names: type, shape and all bits. A part of the checkpoint that the first run lacks is new."""
    if not a:
        return NOTHING
    parts = {name.partition(".")[0] for name in a}
    names = [*a, *(name for name in b if name not in a and name.partition(".")[0] in parts)]
    differing = [name for name in names if name not in a or name not in b or not _same_tensors(a[name], b[name])]
    first = ""
    if differing:
        name = differing[0]
        first = f"{name}: {_presence(name, a, b) or _tensors_apart(a[name], b[name])}"
    new = {part for name in b if (part := name.partition(".")[0]) not in parts}
    return Comparison(len(a), len(differing), first, frozenset(new))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint; the name of each is its path in the file's tree."""
    try:
        tree = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # reading a broken file can raise nearly anything
        raise UnreadableError(f"{path}: {type(error).__name__}: {error}") from error
    return {name: leaf for name, leaf in _leaves(tree) if isinstance(leaf, Tensor)}


def _log(run: Path) -> dict[str, dict[Key, Any]]:
    """What metrics.jsonl says of training, and what of validation, but for times."""
    values: dict[str, dict[Key, Any]] = {"losses": {}, "metrics": {}}
    path = run / "metrics.jsonl"
    if not path.exists():
        raise UnreadableError(f"{path} is missing")
    for line in path.read_text(encoding="utf-8").splitlines():
        numbers = {RENAMED.get(name, name): value for name, value in json.loads(line).items()}
        step = f"step {numbers.pop('step')}"
        aspect = "losses" if any(name.startswith("train/") for name in numbers) else "metrics"
        values[aspect] |= {(step, name): value for name, value in numbers.items() if not TIME.search(name)}
    return values


def _file_values(folder: Path) -> dict[Key, Any]:
    """Values of JSON files, and what identifies the bytes of others; numbers of list items say where a value stands."""
    values: dict[Key, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_RESULTS):
        content, where = path.read_bytes(), str(path.parent.relative_to(folder))
        if path.suffix != ".json":
            values[where, path.name] = f"{len(content)} bytes of SHA-1 {hashlib.sha1(content).hexdigest()[:8]}"
            continue
        for name, value in _leaves(json.loads(content)):
            item = "".join(INDEX.findall(name))
            values[f"{where} item {item}" if item else where, f"{path.name} {INDEX.sub('[]', name)}"] = value
    return values


def _leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of all in a tree that is neither a mapping nor a list, or is an empty one."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    elif isinstance(tree, list | tuple) and tree:
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{name}[{number}]")
    else:
        yield name, tree


def _presence(key: Any, a: Any, b: Any) -> str:
    """'missing' or 'added' where one of the two collections lacks a key."""
    return "missing" if key not in b else "added" if key not in a else ""


def _same(a: Any, b: Any) -> bool:
    return a == b or (a != a and b != b)  # NaN


def _apart(name: str, a: Mapping[Key, Any], b: Mapping[Key, Any]) -> str:
    """By how much the numbers of a name differ, wherever they stand."""
    pairs = [(value, b[key]) for key, value in a.items() if key[1] == name and key in b]
    gaps = [abs(x - y) for x, y in pairs if isinstance(x, int | float) and isinstance(y, int | float)]
    return f", at most {max(gaps):.3g} apart" if gaps and not any(map(math.isnan, gaps)) else ""


def _same_tensors(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(_bytes(a), _bytes(b))


def _bytes(tensor: Tensor) -> Tensor:
    """(numbers, bytes of each)."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).reshape(tensor.numel(), tensor.element_size())


def _tensors_apart(a: Tensor, b: Tensor) -> str:
    if a.dtype != b.dtype or a.shape != b.shape:
        return " -> ".join(f"{tensor.dtype} {tuple(tensor.shape)}" for tensor in (a, b))
    rows = (_bytes(a) != _bytes(b)).any(dim=1).nonzero().flatten()
    one, other = (tensor.reshape(-1)[rows].double() for tensor in (a, b))
    return (
        f"{one[0]:.9g} -> {other[0]:.9g} at {int(rows[0])}, {len(rows)} of {a.numel()} numbers, "
        f"at most {(one - other).abs().max():.3g} apart"
    )
