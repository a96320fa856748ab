"""Films, frame by frame: videos through OpenCV, and animated pictures (GIF, APNG, WebP) through PIL."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlepose.datasets.images import MAX_PIXELS, refuse_too_large
from rlepose.errors import InputError, first_line
from rlepose.inference.input_picture import InputPicture

VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}
_ANIMATED_SUFFIXES = {".gif", ".png", ".apng", ".webp", ".avif"}
_USUAL_FPS = 10.0  # of an animation that does not say


class Film(Protocol):
    """Frames in their order. A context manager.

    fps: frames a second. count: how many the file says it has, 0 where it does not say. path: the file.
    """

    path: Path
    fps: float
    count: int

    def __enter__(self) -> "Film":
        """Open until the block ends."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        ...

    def __iter__(self) -> Iterator[InputPicture]:
        """Each frame; at last, with a problem, one that could not be read."""
        ...


def is_video(path: Path) -> bool:
    """Whether a file's name ends as a video's."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not is_folder(path)


def is_film(path: Path) -> bool:
    """Whether a file is a video, or a picture with more frames than one."""
    return is_video(path) or _frames_in(path) > 1


def is_folder(path: Path) -> bool:
    """Whether there is a folder of this path."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long


def open_film(path: Path, max_pixels: int = MAX_PIXELS) -> Film:
    """A video or an animated picture; InputError for what cannot be opened as one."""
    return Video(path) if is_video(path) else Animation(path, max_pixels)


def _frames_in(path: Path) -> int:
    if path.suffix.lower() not in _ANIMATED_SUFFIXES or is_folder(path):
        return 0
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1)
    except Exception:  # of PIL's many formats each has errors of its own; who reads the picture names them
        return 0


class Video:
    """The frames of a video file, from its beginning. A context manager.

    fps: frames a second, as the file says. count: frames that the file says it has, or 0 where it does not say.
    Raises InputError for what cannot be opened. A video that ends early ends with a InputPicture that says so.
    """

    def __init__(self, path: Path) -> None:
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
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

    def __iter__(self) -> Iterator[InputPicture]:
        pixels, number = self._first, 0
        self._first = None
        while pixels is not None:
            yield _frame(self.path, number, pixels)
            pixels, number = self._read(), number + 1
        # Containers count a frame too many now and then.
        if number < self.count - max(1, self.count // 100):
            problem = f"{self.path}: the video ends after {number} of {self.count} frames; fetch it again"
            yield _frame(self.path, number, None, problem)

    def _read(self) -> NDArray[np.uint8] | None:
        good, pixels = self._capture.read()
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8) if good else None


class Animation:
    """The frames of an animated picture, each as it is seen, on black where it is transparent. A context manager.

    fps: frames a second on average. Raises InputError for what cannot be decoded or has frames of too many pixels.
    """

    def __init__(self, path: Path, max_pixels: int = MAX_PIXELS) -> None:
        with path.open("rb") as file:
            refuse_too_large(file, path, max_pixels)
        self.path = path
        self._image = Image.open(path)
        self.count = getattr(self._image, "n_frames", 1)
        self.fps = self._frames_a_second()

    def __enter__(self) -> "Animation":
        return self

    def __exit__(self, *_: object) -> None:
        self._image.close()

    def __iter__(self) -> Iterator[InputPicture]:
        for number in range(self.count):
            try:
                yield _frame(self.path, number, self._read(number))
            except (OSError, ValueError, SyntaxError) as error:
                problem = f"{self.path}: the animation ends after {number} of {self.count} frames ({first_line(error)})"
                yield _frame(self.path, number, None, f"{problem}; fetch it again")
                return

    def _read(self, number: int) -> NDArray[np.uint8]:
        self._image.seek(number)
        return np.array(_on_black(self._image), np.uint8)

    def _frames_a_second(self) -> float:
        milliseconds = 0.0
        for number in range(self.count):
            try:
                self._image.seek(number)
                self._image.load()
            except (OSError, ValueError, SyntaxError):
                break
            milliseconds += float(self._image.info.get("duration") or 1000 / _USUAL_FPS)
        return 1000 * self.count / milliseconds if milliseconds else _USUAL_FPS


def _on_black(image: Image.Image) -> Any:
    colored = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colored.size, (0, 0, 0, 255)), colored).convert("RGB")


def _frame(path: Path, number: int, pixels: NDArray[np.uint8] | None, problem: str = "") -> InputPicture:
    return InputPicture(f"{path.name}#{number}", pixels, problem, number, number)
