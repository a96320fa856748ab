"""Split an annotation file by purpose: for training, for model selection, for fitting a correction of sigma."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlepose.datasets.formats.coco_entries import entries, person_entry
from rlepose.datasets.formats.coco_file import Pictures
from rlepose.datasets.formats.json_file import read_json
from rlepose.datasets.groups import contiguous_blocks, picture_groups, split_groups
from rlepose.datasets.shares import BLOCKS, REST
from rlepose.errors import InputError
from rlepose.evaluation.results import write_json


class Part(NamedTuple):
    """A written file, with its numbers of groups, pictures and annotated persons."""

    name: str
    path: Path
    groups: int
    pictures: int
    persons: int


def split_file(
    source: Path,
    out: Path,
    shares: Mapping[str, float],
    group_key: str | None = None,
    blocks: int = BLOCKS,
    seed: int = 0,
    overwrite: bool = False,
) -> list[Part]:
    """Write a COCO file for each share and one for the rest to the folder `out`; return the parts, the rest first.

    Each part has its own images and annotations, unchanged and in the file's order, and everything else of `source`.
    group_key: key in image entries that names the group; None for `blocks` contiguous blocks of the file's order.
    Pictures without annotations are in no share, unless their group is. Raises InputError if the file cannot be split
    this way and, before anything is written, if a file exists and `overwrite` is not set.
    """
    tree = read_json(source, "annotation file", "check the path")
    pictures = Pictures(source, tree)
    annotations = [person_entry(source, entry) for entry in entries(source, tree, "annotations")]
    row = np.array([_row_of_image(pictures, annotation) for annotation in annotations], np.intp)
    groups = (
        contiguous_blocks(len(pictures.images), blocks) if group_key is None else picture_groups(pictures, group_key)
    )
    if len(np.unique(groups)) < 2:
        what = "has fewer than two pictures" if group_key is None else f"has only one group by '{group_key}'"
        raise InputError(f"{source}: {what}, so it cannot be split; use another key, or split it by hand")
    paths = {name: out / _file_name(source, name) for name in (REST, *shares)}
    _refuse_to_replace(source, list(paths.values()), overwrite)
    part = split_groups(groups, np.bincount(row, minlength=len(pictures.images)), shares, seed)
    parts = []
    for name, path in paths.items():
        chosen = part == name
        images = [image for image, ours in zip(pictures.images, chosen, strict=True) if ours]
        persons = [annotation for annotation, ours in zip(annotations, chosen[row], strict=True) if ours]
        try:
            write_json(path, tree | {"images": images, "annotations": persons})
        except ValueError as error:
            raise InputError(
                f"{source}: contains NaN or infinity, which JSON does not allow; correct the file"
            ) from error
        parts.append(Part(name, path, len(np.unique(groups[chosen])), len(images), len(persons)))
    return parts


def _row_of_image(pictures: Pictures, annotation: dict[str, Any]) -> int:
    row = pictures.row_of_image.get(annotation["image_id"])
    if row is None:
        raise InputError(
            f"{pictures.path}: annotation {annotation['id']}: no picture {annotation['image_id']!r} in 'images'"
        )
    return row


def _file_name(source: Path, part: str) -> str:
    """Return faces_tune.json for faces_train.json; hands_tune.json for hands.json, which names no part."""
    before, train, after = source.stem.rpartition("train")
    return f"{before}{part}{after}.json" if train else f"{source.stem}_{part}.json"


def _refuse_to_replace(source: Path, paths: list[Path], overwrite: bool) -> None:
    for path in paths:
        if path.resolve() == source.resolve():
            raise InputError(f"{path}: a part would replace the input file; rename the part")
        if path.exists() and not overwrite:
            raise InputError(f"{path}: already exists; pass --overwrite to replace it, or --out FOLDER")


def format_parts(parts: list[Part]) -> str:
    """Format the parts as a table."""
    width = max(len("part"), *(len(part.name) for part in parts))
    lines = [f"{'part':<{width}}  groups  pictures  persons  file"]
    for name, path, groups, pictures, persons in parts:
        lines.append(f"{name:<{width}}  {groups:6d}  {pictures:8d}  {persons:7d}  {path}")
    return "\n".join(lines)
