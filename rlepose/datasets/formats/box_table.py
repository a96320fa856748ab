"""Boxes and their pictures, in whatever format they were given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.file_names import ByFileName
from rlepose.datasets.persons import counted
from rlepose.errors import InputError
from rlepose.pose.geometry import Floats

NO_CATEGORY = -1

ToldBy = Literal["name", "id", "number", "every picture"]


class PictureKey(NamedTuple):
    """What identifies a picture: its path as given, the data set's id (None without one), its number in the order.

    Frames of a film are pictures; their path is `film.mp4#3` and their id the frame's number.
    """

    path: str
    image_id: int | None
    number: int


@dataclass(frozen=True, eq=False)
class BoxTable:
    """N boxes.

    source:       their name in messages: a file's path, or 'boxes'.
    bbox_xywh     (N, 4) px.
    score         (N,) the detector's score, 0 without one.
    category_ids  (N,) as given, NO_CATEGORY without one.
    entries       (N,) number of each box among those given.
    told_by:      how a picture's boxes are found: by its name, its id, its number, or all boxes are in every picture.
    by_name, by_number: rows of the boxes of each name, or of each id or number; an empty list means no person.
    image_ids:    ids of the pictures by name, if they were given.
    left_out:     how many other boxes the source has, by reason.
    """

    source: str
    bbox_xywh: Floats
    score: Floats
    category_ids: NDArray[np.int64]
    entries: NDArray[np.int64]
    told_by: ToldBy
    by_name: ByFileName[list[int]] = field(default_factory=lambda: ByFileName({}))
    by_number: Mapping[int, list[int]] = field(default_factory=dict)
    image_ids: ByFileName[int] | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.bbox_xywh)

    def check_pictures(self, count: int | None, film: bool) -> None:
        """Raise InputError if the boxes cannot belong to this number of pictures. count: None if still unknown.

        film: whether the pictures are the frames of a film, all of which may have the same boxes.
        """
        if self.told_by == "every picture" and not film and count != 1 and len(self) != 1:
            raise InputError(
                f"{self.source}: {len(self)} boxes without a picture's name; for several pictures, pass a list with "
                "one array per picture: [[[x, y, width, height], …], …]"
            )
        if self.told_by == "number" and count is not None and count != len(self.by_number):
            raise InputError(
                f"{self.source}: {len(self.by_number)} entries for {count} pictures; give one entry per picture"
            )

    def of_picture(self, key: PictureKey) -> tuple[list[int], str]:
        """Return the rows of a picture's boxes, and a sentence if the picture is not listed, else "".

        InputError for a list that is too short, and for boxes by id if the picture has no id.
        """
        if self.told_by == "every picture":
            return list(range(len(self))), ""
        if self.told_by == "name":
            return self._of_name(key.path)
        if self.told_by == "number":
            if key.number not in self.by_number:
                raise InputError(
                    f"{self.source}: no entry for {key.path} in a list of {len(self.by_number)}; give one per picture"
                )
            return self.by_number[key.number], ""
        if key.image_id is None:
            raise InputError(
                f"{self.source}: its boxes name pictures by image_id, and {key.path} has none; pass the COCO file that "
                "has these ids (--ids FILE)"
            )
        # Results only list pictures in which a person was found.
        return self.by_number.get(key.image_id, []), ""

    def _of_name(self, path: str) -> tuple[list[int], str]:
        found = self.by_name.find_film(path)
        if found.several:
            folders = ", ".join(found.several)
            return [], f"{path}: several entries in {self.source} match: {folders}; rename its folder"
        if found.value is None:
            return [], f"{path}: no entry in {self.source}; add one, [] if there is no person"
        return found.value, ""

    def unused(self, keys: Iterable[PictureKey]) -> list[int]:
        """Return the rows of the boxes that are in none of these pictures; InputError if all are in none."""
        used: set[int] = set()
        first: PictureKey | None = None
        for key in keys:
            used.update(self.of_picture(key)[0])
            first = first or key
        if len(self) and not used:
            ids = self.told_by == "id"
            given = list(self.by_number) if ids else list(self.by_name.values)
            listed = ", ".join(map(str, given[:3])) + (", …" if len(given) > 3 else "")
            known = f"the ids {listed}" if ids else listed
            here = "there is none here"
            if first is not None:
                here = f"the first one here is {first.path}" + (f" with the id {first.image_id}" if ids else "")
            fix = "correct image_id, or give" if ids else "give"
            raise InputError(
                f"{self.source}: none of its {len(self)} boxes is in one of the pictures: it has {known}, and {here} "
                f"(left out: {counted(self.left_out)}); {fix} the boxes of these pictures"
            )
        return [row for row in range(len(self)) if row not in used]

    def picture_of(self, row: int) -> str:
        """Return the name or id of the picture of a box, as given."""
        pictures: Mapping[Any, list[int]] = self.by_name.values if self.told_by == "name" else self.by_number
        return next(str(picture) for picture, rows in pictures.items() if row in rows)
