"""What the headers of a data set's pictures say before anything is trained: orientation, and depth of 16-bit values."""

import logging
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from rlepose.datasets.persons import PersonTable

log = logging.getLogger(__name__)

_LOOKED_AT = 500  # pictures, evenly spread: a header takes 0.2 ms on a local disk and 10 ms over a network
_ORIENTATION = 274  # EXIF tag; 1 is upright
_DEPTHS = (10, 12, 14, 16)  # bits that cameras and scanners write into 16


class Survey(NamedTuple):
    """looked_at: number of pictures. turned: files with an orientation other than upright. deep: files of 16 bits."""

    looked_at: int
    turned: list[str]
    deep: list[str]


def survey(table: PersonTable, most: int = _LOOKED_AT) -> Survey:
    """Look at the headers of the pictures of a table's persons, at most so many. Unreadable ones are passed over."""
    used = np.unique(table.image_index)
    chosen = used[np.unique(np.linspace(0, len(used) - 1, min(most, len(used))).astype(int))] if len(used) else used
    turned, deep = [], []
    for row in chosen.tolist():
        path = table.picture_path(row)
        try:
            with Image.open(path) as header:
                if header.mode.startswith("I") or ";16" in str(header.tile):
                    deep.append(str(path))
                # PIL would decode a PNG to look for EXIF after its pixels, where hardly anybody writes it.
                has_exif = header.format != "PNG" or "exif" in header.info
                if has_exif and header.getexif().get(_ORIENTATION, 1) != 1:
                    turned.append(str(path))
        except Exception:
            continue
    return Survey(len(chosen), turned, deep)


def warn_of_orientation(table: PersonTable, found: Survey) -> None:
    """Say whose coordinates the labels of turned pictures are taken to be."""
    if found.turned:
        log.warning(
            "%d of %d pictures carry an EXIF orientation, the first is %s; data.exif=%s: their labels are taken to "
            "belong to the %s picture",
            *(len(found.turned), found.looked_at, found.turned[0], "apply" if table.upright else "ignore"),
            "upright" if table.upright else "stored",
        )


def bit_depth(found: Survey) -> int | None:
    """The smallest depth, in bits, that holds the largest value in the 16-bit pictures; None where there is none."""
    largest = -1
    for path in found.deep:
        pixels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        if pixels is not None and pixels.dtype == np.uint16:
            largest = max(largest, int(pixels.max()))
    if largest < 0:
        return None
    bits = next(depth for depth in _DEPTHS if largest < 2**depth)
    log.info("data.bit_depth  %d: the largest value in %d pictures of 16 bits is %d", bits, len(found.deep), largest)
    return bits
