"""Boxes and the pictures that they belong to, whatever they were given as."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.file_names import ByFileName
from rlepose.errors import InputError
from rlepose.pose.geometry import Floats

NO_CATEGORY = -1

ToldBy = Literal["name", "id", "number", "every picture"]


class PictureKey(NamedTuple):
    """What tells a picture from others: path as given, the data set's id (None without one), number in their order.

    A film's frames count as pictures; their path is `film.mp4#3` and their id the frame's number.
    """

    path: str
    image_id: int | None
    number: int


@dataclass(frozen=True, eq=False)
class BoxTable:
    """N boxes.

    source:       what messages call them: a file's path, or 'boxes'.
    bbox_xywh     (N, 4) px.
    score         (N,) the detector's, 0 where there is none.
    category_ids  (N,) as given, NO_CATEGORY where nothing was said.
    entries       (N,) number of each box among those given.
    told_by:      how a picture's boxes are found: by its name, its id, its number, or all boxes are on every picture.
    by_name, by_number: rows of the boxes of each name, or of each id or number; an empty list says nobody.
    image_ids:    ids of the pictures by name, where they were given.
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

    def __len__(self) -> int:
        return len(self.bbox_xywh)

    def check_pictures(self, count: int | None, film: bool) -> None:
        """InputError where the boxes cannot be those of so many pictures. count: None where nobody knows yet.

        film: whether the pictures are a film's frames, of which each may have the same boxes.
        """
        if self.told_by == "every picture" and not film and count != 1 and len(self) != 1:
            raise InputError(
                f"{self.source}: {len(self)} boxes without a picture's name; for several pictures give a list with an "
                "array each: [[[x, y, width, height], …], …]"
            )
        if self.told_by == "number" and count is not None and count != len(self.by_number):
            raise InputError(
                f"{self.source}: {len(self.by_number)} entries for {count} pictures; give an entry a picture"
            )

    def of_picture(self, key: PictureKey) -> tuple[list[int], str]:
        """The rows of a picture's boxes, and a sentence where the picture is not listed, else "".

        InputError for a list that is too short, and for boxes told by ids where the picture has none.
        """
        if self.told_by == "every picture":
            return list(range(len(self))), ""
        if self.told_by == "name":
            return self._of_name(key.path)
        if self.told_by == "number":
            if key.number not in self.by_number:
                raise InputError(
                    f"{self.source}: a list of {len(self.by_number)} is too short for {key.path}; give an entry a "
                    "picture"
                )
            return self.by_number[key.number], ""
        if key.image_id is None:
            raise InputError(
                f"{self.source}: its boxes name pictures by image_id, and {key.path} has none; name the COCO file that "
                "has these ids (--ids FILE)"
            )
        # Results list those pictures alone in which somebody was found.
        return self.by_number.get(key.image_id, []), ""

    def _of_name(self, path: str) -> tuple[list[int], str]:
        found = self.by_name.find_film(path)
        if found.several:
            folders = ", ".join(found.several)
            return [], f"{path}: {self.source} has it in several folders: {folders}; rename its folder"
        if found.value is None:
            return [], f"{path}: {self.source} has no entry for it; add one, if an empty one"
        return found.value, ""

    def unused(self, keys: Iterable[PictureKey]) -> int:
        """How many boxes are on none of these pictures; InputError where all are."""
        used: set[int] = set()
        first: PictureKey | None = None
        for key in keys:
            used.update(self.of_picture(key)[0])
            first = first or key
        if len(self) and not used:
            ids = self.told_by == "id"
            given = list(self.by_number) if ids else list(self.by_name.values)
            known = ("the ids " if ids else "") + ", ".join(map(str, given[:3])) + (", …" if len(given) > 3 else "")
            here = "there is none here"
            if first is not None:
                here = f"the first one here is {first.path}" + (f" with the id {first.image_id}" if ids else "")
            raise InputError(
                f"{self.source}: none of its {len(self)} boxes is on one of the pictures: it has {known}, and {here}; "
                "wrong split?"
            )
        return len(self) - len(used)
