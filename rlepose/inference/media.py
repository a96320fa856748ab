"""Pictures and videos as they come: files, arrays, lists, folders. What cannot be read is told; the rest goes on."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.images import read_image
from rlepose.errors import InputError, first_line

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}

MAX_PIXELS = 80_000_000  # 240 MB as RGB

Images = str | Path | NDArray[Any] | Sequence[str | Path | NDArray[Any]]


class Frame(NamedTuple):
    """One picture: its name, RGB uint8 (H, W, 3) or None, and why it is None."""

    name: str
    pixels: NDArray[np.uint8] | None
    problem: str = ""


def frames_of(images: Images, max_pixels: int = MAX_PIXELS) -> Iterator[Frame]:
    """The pictures of a file, a folder (by name), a video, an array, or a list of files and arrays.

    Files are turned upright as their EXIF entry says. Arrays are RGB, grey or RGBA, uint8 or uint16.
    Raises InputError for a folder without pictures and a video that cannot be opened.
    """
    if isinstance(images, str | Path):
        yield from _frames_of_path(Path(images), max_pixels)
    elif isinstance(images, np.ndarray):
        yield _frame_of_array(images, "picture 0")
    else:
        for number, image in enumerate(images):
            if isinstance(image, np.ndarray):
                yield _frame_of_array(image, f"picture {number}")
            else:
                yield _frame_of_file(Path(image), max_pixels)


def _frames_of_path(path: Path, max_pixels: int) -> Iterator[Frame]:
    if is_video(path):
        with Video(path) as video:
            yield from video
    elif path.is_dir():
        for file in pictures_in(path):
            yield _frame_of_file(file, max_pixels)
    else:
        yield _frame_of_file(path, max_pixels)


def is_video(path: Path) -> bool:
    """Whether a file's name ends as that of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder whose names end as those of pictures, by name; InputError if there are none."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
    if not files:
        raise InputError(f"{folder}: no pictures in it; expected files ending in {', '.join(sorted(PICTURE_SUFFIXES))}")
    return files


def read_upright(path: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """A picture as RGB uint8 (H, W, 3), turned upright; its size is checked before it is decoded.

    Raises InputError where the file is missing, no picture, cut off, or has more than `max_pixels` pixels.
    """
    import PIL.Image

    try:
        with PIL.Image.open(path) as header:
            width, height = header.size
    except PIL.Image.DecompressionBombError as error:
        raise InputError(f"{path}: the picture is too large ({first_line(error)}); scale it down") from error
    except FileNotFoundError:
        raise InputError(f"{path}: no such picture; check the path") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a picture; give a JPEG, PNG or the like") from error
    if width * height > max_pixels:
        raise InputError(
            f"{path}: the picture has {width}x{height} px, more than max_pixels={max_pixels:,}; scale it down, or "
            "raise that limit"
        )
    return read_image(path, upright=True)


class Video:
    """The frames of a video file, from its beginning. A context manager.

    fps: frames a second, as the file says. count: frames that the file says it has, or 0 where it does not say.
    Raises InputError for what cannot be opened. A video that ends early ends with a Frame that says so.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"{path}: no such video; check the path")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # else FFmpeg talks to stderr; we say what matters
        self._capture = cv2.VideoCapture(str(path))
        self._first = self._read() if self._capture.isOpened() else None
        if self._first is None:
            raise InputError(f"{path}: cannot be opened as a video; it may be cut off, so fetch it again")
        self.path = path
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        pixels, number = self._first, 0
        self._first = None
        while pixels is not None:
            yield Frame(f"{self.path.name}#{number}", pixels)
            pixels, number = self._read(), number + 1
        # Containers count a frame too many now and then.
        if number < self.count - max(1, self.count // 100):
            problem = f"{self.path}: the video ends after {number} of {self.count} frames; fetch it again"
            yield Frame(f"{self.path.name}#{number}", None, problem)

    def _read(self) -> NDArray[np.uint8] | None:
        good, pixels = self._capture.read()
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8) if good else None


def _frame_of_file(path: Path, max_pixels: int) -> Frame:
    try:
        return Frame(str(path), read_upright(path, max_pixels))
    except InputError as error:
        return Frame(str(path), None, str(error))


def _frame_of_array(array: NDArray[Any], name: str) -> Frame:
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if array.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4) or not array.size:
        problem = (
            f"{name}: expected RGB, RGBA or grey pixels (H, W, 3), (H, W, 4) or (H, W) of uint8 or uint16, "
            f"got shape {array.shape} of {array.dtype}"
        )
        return Frame(name, None, problem)
    pixels = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    pixels = np.repeat(pixels, 3, axis=2) if channels == 1 else pixels[..., :3]
    return Frame(name, np.ascontiguousarray(pixels))
