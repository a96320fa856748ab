"""Read pictures and videos: files, arrays, lists, folders. An unreadable picture is reported, not fatal."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rlepose.datasets.images import MAX_PIXELS, read_image
from rlepose.errors import InputError, first_line

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}

Single = str | Path | NDArray[Any] | Image.Image
Images = Single | Sequence[Single]


class InputPicture(NamedTuple):
    """One picture: its name, its RGB uint8 pixels (H, W, 3) or None, and the reason for None."""

    name: str
    pixels: NDArray[np.uint8] | None
    problem: str = ""


def frames_of(images: Images, max_pixels: int = MAX_PIXELS) -> Iterator[InputPicture]:
    """Yield the pictures of a file, folder (by name), video, array or PIL image, or of a list of these (no folders).

    Files and PIL images are rotated upright according to their EXIF entry. Arrays are RGB, grey or RGBA, uint8 or
    uint16. Raises InputError for a folder without pictures, a video that cannot be opened, and any other argument.
    """
    if isinstance(images, str | Path):
        yield from _frames_of_path(Path(images), max_pixels)
    elif isinstance(images, Sequence):
        for number, image in enumerate(images):
            if isinstance(image, str | Path):
                yield _frame_of_file(Path(image), max_pixels)
            else:
                yield _frame_of_pixels(image, f"picture {number}")
    else:
        yield _frame_of_pixels(images, "picture 0")


def _frames_of_path(path: Path, max_pixels: int) -> Iterator[InputPicture]:
    if is_video(path):
        with Video(path) as video:
            yield from video
    elif is_folder(path):
        for file in pictures_in(path):
            yield _frame_of_file(file, max_pixels)
    else:
        yield _frame_of_file(path, max_pixels)


def is_video(path: Path) -> bool:
    """Whether a file's name ends as a video's."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not is_folder(path)


def is_folder(path: Path) -> bool:
    """Whether there is a folder of this path."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long


def pictures_in(folder: Path) -> list[Path]:
    """Return the files of a folder with a picture's suffix, by name; InputError if there are none."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
    if not files:
        raise InputError(f"{folder}: no pictures in it; expected files ending in {', '.join(sorted(PICTURE_SUFFIXES))}")
    return files


class Video:
    """The frames of a video file, from the beginning. A context manager.

    fps: frames per second, according to the file. count: number of frames according to the file, 0 if unknown.
    Raises InputError for a file that cannot be opened. If a video ends early, the last InputPicture reports it.
    """

    def __init__(self, path: Path) -> None:
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for overlong names
            raise InputError(f"{path}: no such video file; check the path")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # silences FFmpeg; problems are reported below
        self._capture = cv2.VideoCapture(str(path))
        self._first = self._read() if self._capture.isOpened() else None
        if self._first is None:
            raise InputError(f"{path}: cannot be opened as a video; the file may be truncated, so copy it again")
        self.path = path
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[InputPicture]:
        pixels, number = self._first, 0
        self._first = None
        while pixels is not None:
            yield InputPicture(f"{self.path.name}#{number}", pixels)
            pixels, number = self._read(), number + 1
        # Containers sometimes count one frame too many.
        if number < self.count - max(1, self.count // 100):
            problem = f"{self.path}: the video ends after {number} of {self.count} frames; copy it again"
            yield InputPicture(f"{self.path.name}#{number}", None, problem)

    def _read(self) -> NDArray[np.uint8] | None:
        good, pixels = self._capture.read()
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8) if good else None


def _frame_of_file(path: Path, max_pixels: int) -> InputPicture:
    try:
        return InputPicture(str(path), read_image(path, upright=True, max_pixels=max_pixels))
    except InputError as error:
        return InputPicture(str(path), None, str(error))


def _frame_of_pixels(image: Any, name: str) -> InputPicture:
    if isinstance(image, np.ndarray):
        return _frame_of_array(image, name)
    if not isinstance(image, Image.Image):
        raise InputError(
            f"{name}: cannot read a {type(image).__name__}; give a path, a NumPy array or a PIL image, or a "
            "list of these"
        )
    try:
        upright = ImageOps.exif_transpose(image)
        return _frame_of_array(np.asarray(upright if upright.mode.startswith("I;16") else upright.convert("RGB")), name)
    except Exception as error:  # PIL decodes the pixels only now, and each of its formats raises its own errors
        return InputPicture(
            name, None, f"{name}: cannot be decoded as a picture ({first_line(error)}); fetch the file again"
        )


def _frame_of_array(array: NDArray[Any], name: str) -> InputPicture:
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if array.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4) or not array.size:
        problem = (
            f"{name}: expected RGB, RGBA or grey pixels (H, W, 3), (H, W, 4) or (H, W) of uint8 or uint16, "
            f"got shape {array.shape} of {array.dtype}"
        )
        return InputPicture(name, None, problem)
    pixels = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    pixels = np.repeat(pixels, 3, axis=2) if channels == 1 else pixels[..., :3]
    return InputPicture(name, np.ascontiguousarray(pixels))
