"""Read films frame by frame: videos with OpenCV, animated pictures (GIF, APNG, WebP) with PIL."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlepose.datasets.images import MAX_PIXELS, path_for_opencv, refuse_too_large
from rlepose.errors import InputError, first_line
from rlepose.inference.input_picture import InputPicture

VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}
_ANIMATED_SUFFIXES = {".gif", ".png", ".apng", ".webp", ".avif"}
_USUAL_FPS = 10.0  # of an animation that does not say


class Film(Protocol):
    """Frames in their order. A context manager.

    path: the file. fps: frames per second. count: number of frames according to the file, 0 if unknown.
    """

    path: Path
    fps: float
    count: int

    def __enter__(self) -> "Film":
        """Return the film, open until the block ends."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        ...

    def __iter__(self) -> Iterator[InputPicture]:
        """Yield each frame; the last one reports a problem if the film ends early."""
        ...


def is_video(path: Path) -> bool:
    """Return whether a file has the suffix of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not is_folder(path)


def is_film(path: Path) -> bool:
    """Return whether a file is a video, or a picture with several frames."""
    return is_video(path) or _frames_in(path) > 1


def is_folder(path: Path) -> bool:
    """Return whether the path is an existing folder."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for overlong names


def open_film(path: Path, max_pixels: int = MAX_PIXELS) -> Film:
    """Open a video or an animated picture; InputError for a file that cannot be opened as one."""
    return Video(path) if is_video(path) else Animation(path, max_pixels)


def _frames_in(path: Path) -> int:
    if path.suffix.lower() not in _ANIMATED_SUFFIXES or not os.path.isfile(path):  # noqa: PTH113 - see above
        return 0
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1)
    except Exception:  # of PIL's many formats each has errors of its own; who reads the picture names them
        return 0


class Video:
    """The frames of a video file, from the beginning. A context manager.

    fps: frames per second, according to the file. count: number of frames according to the file, 0 if unknown.
    Raises InputError for a file that cannot be opened. If a video ends early, the last InputPicture reports it.
    """

    def __init__(self, path: Path) -> None:
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for overlong names
            raise InputError(f"{path}: no such video file; check the path")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # silences FFmpeg; problems are reported below
        self._capture = cv2.VideoCapture(path_for_opencv(path))
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
            yield _frame(self.path, number, pixels)
            pixels, number = self._read(), number + 1
        # Containers sometimes count one frame too many.
        if number < self.count - max(1, self.count // 100):
            problem = f"{self.path}: the video ends after {number} of {self.count} frames; copy it again"
            yield _frame(self.path, number, None, problem)

    def _read(self) -> NDArray[np.uint8] | None:
        good, pixels = self._capture.read()
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8) if good else None


class Animation:
    """The frames of an animated picture as they are displayed, on black where transparent. A context manager.

    fps: frames per second on average. Raises InputError for a file that cannot be decoded or has too large frames.
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
                yield _frame(self.path, number, None, f"{problem}; copy it again")
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
