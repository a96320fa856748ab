"""All persons of a data set as flat arrays that worker processes share."""

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.nearest_file import nearest_file
from rlepose.errors import InputError

log = logging.getLogger(__name__)

Table = TypeVar("Table", bound="PersonTable")

_FIX = "correct file_name, data.root or the picture folders, or set data.on_bad_image=skip"
_NOT_OF_PERSONS = (
    *("image_root", "image_ids", "image_files", "image_size_wh"),
    *("left_out", "category_names", "upright", "bits"),
)


@dataclass(frozen=True)
class PersonTable:
    """N persons in M pictures.

    person_ids    (N,)       annotation ids, or the index of the entry in a detection file
    category_ids  (N,)       the data set's category ids
    image_index   (N,)       row of the picture in the image arrays below
    bbox_xywh     (N, 4)     px, clipped at the picture's border
    box_score     (N,)       the detector's score, 1 for ground-truth boxes
    keypoints     (N, K, 2)  px in the picture, 0 for unlabelled joints
    visible       (N, K)     0 unlabelled, 1 hidden, 2 visible
    image_ids     (M,)       the data set's image ids
    image_files   (M,)       file names relative to `image_root`
    image_size_wh (M, 2)     px, as the annotations state it
    draw_weight   (N,)       how often a person is drawn in training, relative to once an epoch; None: all once
    left_out                 how many persons of the file are not in the table, by reason
    category_names           names of the categories by id, as far as the file has categories
    upright                  whether labels belong to pictures turned as EXIF says, instead of stored ones
    bits                     depth of the values in pictures of 16 bits
    """

    image_root: Path
    person_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    image_index: NDArray[np.int64]
    bbox_xywh: NDArray[np.float32]
    box_score: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    visible: NDArray[np.uint8]
    image_ids: NDArray[np.int64]
    image_files: NDArray[np.str_]
    image_size_wh: NDArray[np.int32]
    draw_weight: NDArray[np.float32] | None = field(default=None, kw_only=True)
    left_out: Mapping[str, int] = field(default_factory=dict, kw_only=True)
    category_names: Mapping[int, str] = field(default_factory=dict, kw_only=True)
    upright: bool = field(default=False, kw_only=True)
    bits: int = field(default=16, kw_only=True)

    def __len__(self) -> int:
        return len(self.person_ids)

    def select(self: Table, persons: NDArray[Any]) -> Table:
        """The table of some persons only: (N,) bool mask or indices. Pictures stay."""
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return dataclasses.replace(
            self,
            **{
                name: column[persons]
                for name, column in columns.items()
                if name not in _NOT_OF_PERSONS and column is not None
            },
        )

    def image_path(self, person: int) -> Path:
        """Return the path of a person's picture."""
        return self.picture_path(self.image_index[person])

    def picture_path(self, row: int) -> Path:
        """Return the path of the picture in a row."""
        return self.image_root / str(self.image_files[row])

    def missing_pictures(self) -> list[int]:
        """Return the rows of persons' pictures that do not exist."""
        folders: dict[str, set[str]] = {}
        missing = []
        for row in np.unique(self.image_index).tolist():
            folder, name = os.path.split(self.image_files[row])
            if folder not in folders:
                # One listing per folder: 100,000 separate checks take minutes on a network disk.
                there = self.image_root / folder
                folders[folder] = {entry.name for entry in os.scandir(there)} if there.is_dir() else set()
            if name not in folders[folder]:
                missing.append(row)
        return missing

    def describe_missing(self, missing: Sequence[int]) -> str:
        """Return how many pictures are missing, the first of them, and the file that it probably means, if any.

        missing: rows of pictures, at least one.
        """
        first = missing[0]
        number = len(np.unique(self.image_index))
        message = f"{len(missing)} of {number} pictures are missing, first {self.picture_path(first)}"
        near = nearest_file(self.image_root, str(self.image_files[first]))
        return message if near is None else f"{message}, but {near} exists"

    def with_pictures(self: Table, on_bad_image: str, fix: str = _FIX) -> Table:
        """Return the persons whose picture exists. For missing ones, raise an InputError that ends with `fix`, or with
        on_bad_image='skip' log a warning.
        """
        missing = self.missing_pictures()
        if not missing:
            return self
        message = self.describe_missing(missing)
        if on_bad_image == "error":
            raise InputError(f"{message}; {fix}")
        log.warning("%s; their persons are skipped", message)
        if len(missing) == len(np.unique(self.image_index)):
            raise InputError(f"{message}, so no person remains; check data.root and the picture folders")
        there_is = ~np.isin(self.image_index, missing)
        left_out = dict(self.left_out) | {"picture missing": int((~there_is).sum())}
        return dataclasses.replace(self.select(there_is), left_out=left_out)

    def person_image_ids(self) -> NDArray[np.int64]:
        """Return (N,) the image id of each person."""
        return self.image_ids[self.image_index]


def counted(left_out: Mapping[str, int]) -> str:
    """Numbers by reason as text: '2 × crowd, 1 × no labelled joint', or 'none'."""
    return ", ".join(f"{count} × {reason}" for reason, count in left_out.items() if count) or "none"
