"""Tables of several annotation files as one."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.pose.skeleton import Skeleton


def joined(
    tables: Sequence[PersonTable],
    skeletons: Sequence[Skeleton],
    paths: Sequence[Path],
    weights: Sequence[float] | None = None,
) -> tuple[PersonTable, Skeleton]:
    """Return the persons of several files in one table, with the joints of the first file, in its order.

    Args:
        tables, skeletons, paths: persons and joints of each file, and where it is.
        weights: how often the persons of each file are drawn; None to draw all equally often.

    Raises InputError if a file has other joints than the first, by name.
    """
    first, names = skeletons[0], set(skeletons[0].names)
    ordered = []
    for table, skeleton, path in zip(tables, skeletons, paths, strict=True):
        if set(skeleton.names) != names:
            different = _difference(names, set(skeleton.names))
            raise InputError(f"{path}: {different} than {paths[0]}; give files with the same joints, by name")
        order = [skeleton.names.index(name) for name in first.names]
        ordered.append(replace(table, keypoints=table.keypoints[:, order], visible=table.visible[:, order]))
    if len(ordered) == 1 and weights is None:
        return tables[0], first
    root = Path(os.path.commonpath([table.image_root.absolute() for table in ordered]))
    folders = [table.image_root.absolute().relative_to(root) for table in ordered]
    pictures = np.cumsum([0, *(len(table.image_ids) for table in ordered)])
    ids = {name: number for number, name in enumerate(_category_names(ordered), 1)}  # of different files may collide
    category_ids = [
        np.array([ids[table.category_names[number]] for number in table.category_ids.tolist()], np.int64)
        for table in ordered
    ]
    columns = ("person_ids", "bbox_xywh", "box_score", "keypoints", "visible", "image_size_wh")
    concatenated: dict[str, Any] = {name: np.concatenate([getattr(t, name) for t in ordered]) for name in columns}
    together = replace(
        ordered[0],
        **concatenated,
        category_ids=np.concatenate(category_ids),
        category_names={number: name for name, number in ids.items()},
        image_root=root,
        image_index=np.concatenate([t.image_index + start for t, start in zip(ordered, pictures[:-1], strict=True)]),
        image_ids=np.arange(pictures[-1]),  # ids from different files may collide
        image_files=np.array(
            [str(folder / name) for table, folder in zip(ordered, folders, strict=True) for name in table.image_files]
        ),
        left_out=dict(sum((Counter(table.left_out) for table in ordered), Counter())),
        draw_weight=None if weights is None else np.repeat(np.array(weights, np.float32), [len(t) for t in ordered]),
    )
    return together, first


def _category_names(tables: Sequence[PersonTable]) -> list[str]:
    return list(dict.fromkeys(name for table in tables for name in table.category_names.values()))


def _difference(names: set[str], found: set[str]) -> str:
    missing, more = sorted(names - found), sorted(found - names)
    parts = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(more)}"] * bool(more)
    return f"other joints ({'; '.join(parts)})"
