"""One picture on its way into a network."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class InputPicture(NamedTuple):
    """One picture, upright.

    name:    the file's path as given; film.mp4#3 for a film's frame, `picture 0` for an array.
    pixels:  RGB uint8 (H, W, 3), or None.
    problem: why there are none.
    number:  which of the pictures it is, in the order in which they are given; frames of one film in a folder or list
             share the film's number.
    frame:   which of its film's frames it is; None for a picture that stands still.
    """

    name: str
    pixels: NDArray[np.uint8] | None
    problem: str = ""
    number: int = 0
    frame: int | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.name if self.frame is None else self.name.rpartition("#")[0])
