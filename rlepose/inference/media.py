"""Read pictures and films: files, arrays, lists, folders. An unreadable picture is reported, not fatal."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rlepose.datasets.images import MAX_PIXELS, read_image, to_8_bits
from rlepose.errors import InputError, first_line
from rlepose.inference.films import is_film, is_folder, is_video, open_film
from rlepose.inference.input_picture import InputPicture
from rlepose.paths import expanded

PICTURE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jfif", ".png", ".apng", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"),
    *(".avif", ".heic", ".heif"),  # the latter two are read where they are JPEGs by another name, else named
}
_BOOKKEEPING = {".DS_Store", "Thumbs.db", "desktop.ini"}  # of file managers

Single = str | Path | NDArray[Any] | Image.Image
Images = Single | Sequence[Single]


class Folder(NamedTuple):
    """Files of a folder by name: its pictures, and a sentence about each other file that says why it is skipped."""

    pictures: list[Path]
    skipped: list[str]


def with_path_expanded(images: Images) -> Images:
    """Return the input with `~` and `$NAME` replaced if it is one path; in a list, `frames_of` replaces them."""
    return expanded(images) if isinstance(images, str | Path) else images


def frames_of(images: Images, max_pixels: int = MAX_PIXELS, bits: int = 16) -> Iterator[InputPicture]:
    """Yield the pictures of a file, folder (by name), film, array or PIL image, or of a list of these (no folders).

    Files and PIL images are rotated upright according to their EXIF entry. Arrays are RGB, grey or RGBA, uint8 or
    uint16. An animated picture is a film: all its frames are yielded, also in a folder or a list, as for a video in a
    list. bits: depth of the values in files and arrays of 16 bits. Raises InputError for a folder without pictures, a
    film that cannot be opened, and any other argument.
    """
    if isinstance(images, str | Path):
        path = Path(images)
        if is_film(path):
            with open_film(path, max_pixels) as film:
                yield from film
        elif is_folder(path):
            for number, file in enumerate(folder_of(path).pictures):
                yield from _frames_of_file(file, number, max_pixels, bits)
        else:
            yield from _frames_of_file(path, 0, max_pixels, bits)
    elif isinstance(images, Sequence):
        for number, image in enumerate(images):
            if isinstance(image, str | Path):
                yield from _frames_of_file(image, number, max_pixels, bits)
            else:
                yield _frame_of_pixels(image, f"picture {number}", bits)._replace(number=number)
    else:
        yield _frame_of_pixels(images, "picture 0", bits)


def folder_of(folder: Path) -> Folder:
    """List a folder; InputError if no file has a picture's suffix."""
    pictures, skipped = [], []
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in PICTURE_SUFFIXES and not is_folder(file) and not _is_special(file):
            pictures.append(file)
        elif file.name not in _BOOKKEEPING:
            skipped.append(f"{file}: {_why_skipped(file)}")
    if not pictures:
        raise InputError(f"{folder}: no pictures in it; expected files ending in {', '.join(sorted(PICTURE_SUFFIXES))}")
    return Folder(pictures, skipped)


def _is_special(file: Path) -> bool:
    return file.exists() and not file.is_file() and not is_folder(file)


def _why_skipped(file: Path) -> str:
    if is_folder(file):
        return "a folder in the folder; give it by itself"
    if _is_special(file):
        return "a pipe or a device"
    if is_video(file):
        return "a video among pictures; give it by itself"
    return "its name does not end as a picture's; rename it if it is one"


def _frames_of_file(given: str | Path, number: int, max_pixels: int, bits: int) -> Iterator[InputPicture]:
    """Yield a picture, or the frames of a film that is one of several inputs."""
    try:
        path = Path(expanded(given))
        if is_film(path):
            with open_film(path, max_pixels) as film:
                for picture in film:
                    yield picture._replace(name=f"{path}#{picture.frame}", number=number)
        else:
            pixels = read_image(path, upright=True, max_pixels=max_pixels, bits=bits)
            yield InputPicture(str(path), pixels, number=number)
    except InputError as error:
        yield InputPicture(str(given), None, str(error), number)


def _frame_of_pixels(image: Any, name: str, bits: int) -> InputPicture:
    if isinstance(image, np.ndarray):
        return _frame_of_array(image, name, bits)
    if not isinstance(image, Image.Image):
        raise InputError(
            f"{name}: cannot read a {type(image).__name__}; give a path, a NumPy array or a PIL image, or a "
            "list of these"
        )
    try:
        upright = ImageOps.exif_transpose(image)
        pixels = np.asarray(upright if upright.mode.startswith("I;16") else upright.convert("RGB"))
        return _frame_of_array(pixels, name, bits)
    except Exception as error:  # PIL decodes the pixels only now, and each of its formats raises its own errors
        return InputPicture(
            name, None, f"{name}: cannot be decoded as a picture ({first_line(error)}); fetch the file again"
        )


def _frame_of_array(array: NDArray[Any], name: str, bits: int) -> InputPicture:
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if array.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4) or not array.size:
        problem = (
            f"{name}: expected RGB, RGBA or grey pixels (H, W, 3), (H, W, 4) or (H, W) of uint8 or uint16, "
            f"got shape {array.shape} of {array.dtype}"
        )
        return InputPicture(name, None, problem)
    pixels = to_8_bits(array, bits, name)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    pixels = np.repeat(pixels, 3, axis=2) if channels == 1 else pixels[..., :3]
    return InputPicture(name, np.ascontiguousarray(pixels))
