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

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile, read_file
from rlepose.datasets.persons import PersonTable

log = logging.getLogger(__name__)

_FORMAT = 2
_ARRAYS = [field.name for field in dataclasses.fields(PersonTable) if field.name != "image_root"]


class Labelled(NamedTuple):
    """The persons, and the category entry with their joints."""

    table: PersonTable
    category: dict[str, Any]


def labelled_persons(path: Path, category: str | Sequence[str] | None, image_root: Path, cache: Path) -> Labelled:
    """Return the labelled persons of a COCO-format file, from the arrays in `cache` if the file was read before.

    A changed file has its own arrays. If the arrays cannot be written, the file is parsed each time, with a warning.
    Raises InputError like `CocoFile` and `persons_from_annotations`.
    """
    digest = hashlib.sha256(read_file(path, "annotation file"))
    digest.update(f"{_FORMAT} {category}".encode())
    folder = cache / f"{path.stem}-{digest.hexdigest()[:16]}"
    if (folder / "category.json").exists():
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        table = PersonTable(image_root=image_root, **arrays)
        log.info("%s: %d persons in %d pictures, from %s", path, len(table), len(table.image_ids), folder)
        return Labelled(table, json.loads((folder / "category.json").read_text(encoding="utf-8")))
    coco = CocoFile(path, category)
    labelled = Labelled(persons_from_annotations(coco, image_root), coco.category)
    try:
        _store(folder, labelled)
    except OSError as error:
        log.warning(
            "%s: cannot store the parsed annotations (%s); set data.cache_dir to a writable folder",
            folder,
            error.strerror,
        )
    return labelled


def _store(folder: Path, labelled: Labelled) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written to a temporary folder and renamed, so that no process sees incomplete files.
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        for name in _ARRAYS:
            np.save(aside / f"{name}.npy", getattr(labelled.table, name), allow_pickle=False)
        (aside / "category.json").write_text(json.dumps(labelled.category), encoding="utf-8")
        aside.chmod(0o755)  # folders made by mkdtemp are private
        aside.rename(folder)
    except OSError:
        if not folder.exists():  # otherwise another rank was faster
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
