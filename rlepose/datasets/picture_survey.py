"""What the headers of a data set's pictures say before anything is trained: orientation, size, and depth of
16-bit values."""

import logging
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from rlepose.datasets.images import ORIENTATION
from rlepose.datasets.persons import PersonTable

log = logging.getLogger(__name__)

_LOOKED_AT = 500  # pictures, evenly spread: a header takes 0.2 ms on a local disk and 10 ms over a network
_QUARTER_TURNS = (5, 6, 7, 8)  # orientations that swap width and height
_DEPTHS = (10, 12, 14, 16)  # bits that cameras and scanners write into 16


class Survey(NamedTuple):
    """looked_at: number of pictures. turned: files with an orientation other than upright. deep: files of 16 bits.

    stored, upright: files whose annotated size is only that of the stored picture, or only that of the picture turned
    upright. other_size: files whose annotated size is neither.
    """

    looked_at: int
    turned: list[str]
    deep: list[str]
    stored: list[str]
    upright: list[str]
    other_size: list[str]


def survey(table: PersonTable, most: int = _LOOKED_AT) -> Survey:
    """Look at the headers of the pictures of a table's persons, at most so many. Unreadable ones are passed over."""
    used = np.unique(table.image_index)
    chosen = used[np.unique(np.linspace(0, len(used) - 1, min(most, len(used))).astype(int))] if len(used) else used
    found = Survey(len(chosen), [], [], [], [], [])
    for row in chosen.tolist():
        path = table.picture_path(row)
        if not path.is_file():  # a pipe would be waited for
            continue
        try:
            with Image.open(path) as header:
                if header.mode.startswith("I") or ";16" in str(header.tile):
                    found.deep.append(str(path))
                # PIL would decode a PNG to look for EXIF after its pixels, where hardly anybody writes it.
                has_exif = header.format != "PNG" or "exif" in header.info
                orientation = header.getexif().get(ORIENTATION, 1) if has_exif else 1
                size, is_tiff = header.size, header.format == "TIFF"
        except Exception:
            continue
        if orientation != 1:
            found.turned.append(str(path))
        if orientation in _QUARTER_TURNS and is_tiff:
            continue  # versions of PIL differ in which of the two sizes is theirs
        annotated = tuple(table.image_size_wh[row].tolist())
        upright_size = size[::-1] if orientation in _QUARTER_TURNS else size
        if annotated not in (size, upright_size):
            found.other_size.append(str(path))
        elif size != upright_size:
            (found.stored if annotated == size else found.upright).append(str(path))
    return found


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
        # Not imread, which crashes at names that are no UTF-8.
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is not None and pixels.dtype == np.uint16:
            largest = max(largest, int(pixels.max()))
    if largest < 0:
        return None
    bits = next(depth for depth in _DEPTHS if largest < 2**depth)
    log.info("data.bit_depth  %d: the largest value in %d pictures of 16 bits is %d", bits, len(found.deep), largest)
    return bits
