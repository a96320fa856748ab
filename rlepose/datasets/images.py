"""Read pictures from disk and crop them."""

import io
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlepose.contents import HEAD_BYTES, foreign_content
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError, first_line
from rlepose.pose.geometry import Floats

MAX_PIXELS = 2**28 // 3  # 256 MiB as RGB

ORIENTATION = 274  # EXIF tag; 1 is upright
# How to turn a stored picture upright, by the tag's value.
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: image.swapaxes(0, 1)[::-1],
}
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_AVIF_STARTS = (b"ftypavif", b"ftypavis")
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# In the data of a scan, a byte ff is followed by 00 or by a restart marker, d0 to d7; further ff bytes are padding.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def read_image(
    path: str | Path, upright: bool = False, max_pixels: int = MAX_PIXELS, bits: int = 16
) -> NDArray[np.uint8]:
    """Read a picture as RGB uint8 (H, W, 3), as stored: EXIF rotation is ignored, because COCO's coordinates ignore it.

    Grey becomes RGB, transparency is dropped, 16 bits are scaled to 8.

    Args:
        path: the file.
        upright: rotate the picture according to EXIF.
        max_pixels: limit on the size in the header, checked before the rest is read.
        bits: depth of the values in a picture of 16 bits, of which the upper 8 are kept.

    Raises InputError, with the file's name, if the file is missing, cannot be decoded, is truncated, or is too large.
    """
    try:
        refuse_special(path)
        with Path(path).open("rb") as file:
            refuse_too_large(file, path, max_pixels)
            file.seek(0)
            data = file.read()
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError for an invalid path, for example with a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot read the picture ({reason})") from error
    if is_truncated_jpeg(data):
        raise InputError(f"{path}: the JPEG file is truncated; copy or download it again")
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # an empty file, or more pixels than OpenCV's limit
        image = None
    if image is None:
        raise _undecodable(path, data[:HEAD_BYTES])
    return to_8_bits(_turned(image, data, upright), bits, path)


def _turned(image: NDArray[Any], data: bytes, upright: bool) -> NDArray[Any]:
    """Return the picture upright or as stored, although OpenCV turns every TIFF and no AVIF.

    data: the content of the file.
    """
    is_tiff, is_avif = data.startswith(_TIFF_STARTS), data[4:12] in _AVIF_STARTS
    if not (is_tiff and not upright) and not (is_avif and upright):
        return image
    with Image.open(io.BytesIO(data)) as header:
        orientation = int(header.getexif().get(ORIENTATION) or 1)
    back = {6: 8, 8: 6}.get(orientation, orientation)
    turn = _TURNS.get(back if is_tiff else orientation)
    return image if turn is None else np.ascontiguousarray(turn(image))


def to_8_bits(pixels: NDArray[Any], bits: int, name: str | Path) -> NDArray[np.uint8]:
    """Scale uint16 pixels, whose values have this depth, to uint8. InputError for larger values and for other types."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        largest = int(pixels.max(initial=0))
        if largest >= 2**bits:
            raise InputError(
                f"{name}: its values go up to {largest}, more than {bits} bits hold (data.bit_depth); set "
                f"data.bit_depth={largest.bit_length()} for all pictures"
            )
        return (pixels >> (bits - 8)).astype(np.uint8)
    raise InputError(
        f"{name}: its values are {pixels.dtype}, of which nobody knows what is white; convert it to 8 or 16 bits"
    )


def _undecodable(path: str | Path, head: bytes) -> InputError:
    found = foreign_content(head)
    if found is not None:
        return InputError(f"{path}: no picture that can be decoded: it is {found}")
    return InputError(
        f"{path}: cannot be decoded as a picture; copy or download it again if it is cut off, or convert it to JPEG"
    )


def refuse_special(path: str | Path) -> None:
    """Raise InputError for a pipe or a device, which would be waited for; OSError where there is nothing."""
    mode = os.stat(path).st_mode  # noqa: PTH116 - Path refuses what is reported as any other invalid path
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path}: a pipe or a device, not a file; write the picture into a file")


def path_for_opencv(path: Path) -> str:
    """The path as text. InputError where its bytes are no UTF-8, at which OpenCV crashes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = str(path).encode(errors="backslashreplace").decode()
        raise InputError(f"{shown}: the name is not valid UTF-8; rename it") from None
    return str(path)


def refuse_too_large(file: BinaryIO, path: str | Path, max_pixels: int) -> None:
    """Raise InputError if the header is no picture's, or states too many pixels."""
    try:
        with Image.open(file) as header:  # decodes nothing; takes 1 % of the time of decoding
            width, height = header.size
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: the picture is too large ({first_line(error)}); shrink it") from error
    except Exception as error:  # of the many formats that it knows, each has its own
        file.seek(0)
        raise _undecodable(path, file.read(HEAD_BYTES)) from error
    if width * height > max_pixels:
        raise InputError(
            f"{path}: the picture has {width}x{height} px, more than {max_pixels:,} pixels; downscale it, and its "
            "labels, if there are any"
        )


def is_truncated_jpeg(data: bytes) -> bool:
    """Return whether a JPEG ends before its end marker. OpenCV would return it half grey, without an error.

    Data after the picture, such as the video of a motion photo, are ignored; so are previews inside its header.
    """
    if not data.startswith(_JPEG_START) or data.endswith(_JPEG_END):  # almost always
        return False
    at = len(_JPEG_START)
    while marker := _JPEG_MARKER.search(data, at):
        if marker[0] == _JPEG_END:
            return False
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")  # skips the segment
    return True


class View(NamedTuple):
    """Pixels that contain a person's region, (h, w, 3) RGB, and their position in the picture.

    Pixel p of the view is at p · step + origin in the picture, both (x, y).
    """

    pixels: NDArray[np.uint8]
    step: Floats
    origin: Floats

    def with_noise(self, box_xyxy: NDArray[np.integer], rng: np.random.Generator) -> "View":
        """Return the view with random colours in a rectangle of the picture: columns x1 … x2 − 1, rows y1 … y2 − 1."""
        corners = np.ceil((box_xyxy.reshape(2, 2) - self.origin) / self.step)
        (left, top), (right, bottom) = np.clip(corners, 0, self.pixels.shape[1::-1]).astype(int)
        pixels = self.pixels.copy()
        pixels[top:bottom, left:right] = rng.integers(0, 256, (bottom - top, right - left, 3), np.uint8)
        return self._replace(pixels=pixels)

    def crop(self, matrix: Floats, crop_size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """Warp the view to a crop (h, w, 3) by a matrix (2, 3) from picture to crop."""
        from_view = np.empty((2, 3))
        from_view[:, :2] = matrix[:, :2] * self.step
        from_view[:, 2] = matrix[:, :2] @ self.origin + matrix[:, 2]
        return warp_crop(self.pixels, from_view, crop_size_hw)


class ImageSource(Protocol):
    """A source of a data set's pixels."""

    def view(self, person: int) -> View:
        """Return the pixels for a person of the table; InputError with the name of an unreadable picture."""
        ...


class ImageFiles:
    """Whole pictures from disk. The last one is cached, because the next person may be in it."""

    def __init__(self, table: PersonTable) -> None:
        self._table = table
        self._last: tuple[int, View] | None = None

    def view(self, person: int) -> View:
        row = int(self._table.image_index[person])
        if self._last is None or self._last[0] != row:
            self._last = None  # frees memory before the next picture is decoded
            self._last = (row, View(read_labelled_image(self._table, row), np.ones(2), np.zeros(2)))
        return self._last[1]


def read_labelled_image(table: PersonTable, row: int) -> NDArray[np.uint8]:
    """Read the picture in a row of the table's pictures; InputError if its size differs from the annotation."""
    path, (width, height) = table.picture_path(row), table.image_size_wh[row]
    image = read_image(path, upright=table.upright, bits=table.bits)
    if image.shape[:2] != (height, width):
        fix = "use the version of the picture that was labelled"
        if image.shape[:2] == (width, height):
            fix = (
                "if it was labelled as stored, set data.exif=ignore"
                if table.upright
                else "if it was labelled upright, as its EXIF orientation turns it, set data.exif=apply"
            )
        raise InputError(
            f"{path}: the picture is {image.shape[1]}x{image.shape[0]} px, but its annotation says "
            f"{width}x{height}; {fix}"
        )
    return image


def warp_crop(
    image: NDArray[np.uint8], matrix: NDArray[np.floating], crop_size_hw: tuple[int, int]
) -> NDArray[np.uint8]:
    """Warp a picture to a crop (h, w, 3) by a matrix (2, 3) from picture to crop; black outside the picture."""
    height, width = crop_size_hw
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
