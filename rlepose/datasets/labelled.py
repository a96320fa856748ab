"""The labelled persons of an annotation file: parsed once, then memory-mapped from arrays on disk.

Parsing COCO's training file takes seconds and gigabytes; its arrays open at once, and all processes share them.
"""

import dataclasses
import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlepose.datasets.formats.coco import read_persons, tell_of_persons
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.formats.json_file import read_file
from rlepose.datasets.options import MissingBoxes
from rlepose.datasets.persons import PersonTable
from rlepose.errors import first_line

log = logging.getLogger(__name__)

_FORMAT = 5
_NOT_KEPT = ("image_root", "draw_weight", "left_out", "category_names", "upright", "bits")
_ARRAYS = [field.name for field in dataclasses.fields(PersonTable) if field.name not in _NOT_KEPT]
_ABOUT = "about.json"  # the category, the names of categories, the annotations left out, and warnings


class Labelled(NamedTuple):
    """The persons, the category entry with their joints, and what to warn of."""

    table: PersonTable
    category: dict[str, Any]
    warnings: list[str]


def labelled_persons(
    path: Path,
    category: str | Sequence[str] | None,
    image_root: Path,
    cache: Path,
    missing_boxes: MissingBoxes = "joints",
) -> Labelled:
    """The labelled persons of a COCO-format file, from the arrays below `cache` if the file was read before.

    A changed file is another file. Where the arrays cannot be read or written, the file is parsed, with a warning.
    Raises InputError as `CocoFile` and `persons_from_annotations` do.
    """
    digest = hashlib.sha256(read_file(path, "annotation file"))
    digest.update(f"{_FORMAT} {category} {missing_boxes}".encode())
    folder = cache / f"{path.stem}-{digest.hexdigest()[:16]}"
    kept = _kept(folder, image_root)
    if kept is not None:
        tell_of_persons(path, kept.table, kept.warnings, str(folder))
        return kept
    coco = CocoFile(path, category, missing_boxes=missing_boxes)
    table, warnings = read_persons(coco, image_root)
    tell_of_persons(path, table, warnings)
    labelled = Labelled(table, coco.category, warnings)
    try:
        _store(folder, labelled)
    except OSError as error:
        log.warning(
            "%s: cannot store the parsed annotations (%s); set data.cache_dir to a writable folder",
            folder,
            error.strerror,
        )
    return labelled


def _kept(folder: Path, image_root: Path) -> Labelled | None:
    """What `_store` kept, None where it is not there, or is damaged, with a warning."""
    if not folder.exists():
        return None
    try:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        names = {int(identity): name for identity, name in about["category_names"].items()}
        table = PersonTable(image_root=image_root, left_out=about["left_out"], category_names=names, **arrays)
        lengths = {len(getattr(table, name)) for name in _ARRAYS if not name.startswith("image_")}
        if lengths != {len(table)} or len(table.image_index) != len(table):
            raise ValueError("its arrays have different lengths")
        return Labelled(table, about["category"], about["warnings"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        log.warning("%s: the parsed annotations cannot be used (%s); parsing the file again", folder, first_line(error))
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _store(folder: Path, labelled: Labelled) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written to a temporary folder and renamed, so that no process sees incomplete files.
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        for name in _ARRAYS:
            np.save(aside / f"{name}.npy", getattr(labelled.table, name), allow_pickle=False)
        about = {
            "category": labelled.category,
            "category_names": dict(labelled.table.category_names),
            "left_out": dict(labelled.table.left_out),
            "warnings": labelled.warnings,
        }
        (aside / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        aside.chmod(0o755)  # mkdtemp's folders are private
        aside.rename(folder)
    except OSError:
        if not folder.exists():  # otherwise another rank was faster
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
