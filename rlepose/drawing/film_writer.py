"""Films that browsers play: H.264 by PyAV or ffmpeg where one of them is installed, else VP9 by OpenCV.

The first two keep the sound of the film that is drawn into. Sides are made even, as both codecs' colours want.
"""

import contextlib
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.images import path_for_opencv
from rlepose.errors import InputError

_LARGEST = 2**16 - 1  # what a frame rate's numerator and denominator may be
_QUALITY = "20"  # libx264's constant rate factor: artefacts are not seen
_MP4_SOUND = {"aac", "mp3", "opus"}  # which browsers play in MP4


class FilmWriter(ABC):
    """A film that is written frame by frame. A context manager: after its block, also an interrupted one, it plays.

    path: the file. sound: what became of the source's sound, in words, "" where there is none to lose.
    """

    suffix: str
    sound: str

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> "FilmWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Append a frame, RGB (H, W, 3) of the size that was said."""
        height, width = pixels.shape[:2]
        self.append(cv2.copyMakeBorder(pixels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE))

    @abstractmethod
    def append(self, pixels: Any) -> None:
        """Append a frame of even sides."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


def choose_writer() -> "type[FilmWriter]":
    """What this machine has."""
    if _pyav() is not None:
        return PyAvWriter
    return FfmpegWriter if shutil.which("ffmpeg") else OpenCvWriter


def open_film_writer(stem: Path, fps: float, size_wh: tuple[int, int], sound_of: Path | None) -> FilmWriter:
    """A film to write.

    stem: the path, to which the writer adds its ending. fps: frames a second. size_wh: of the frames, px. sound_of: a
    video whose sound is kept where possible, as long as the frames last; None where there is none.
    InputError where it cannot be written.
    """
    writer = choose_writer()
    path = stem.with_name(stem.name + writer.suffix)
    path_for_opencv(path)
    even = size_wh[0] + size_wh[0] % 2, size_wh[1] + size_wh[1] % 2
    return writer(path, writable_fps(fps), even, sound_of)  # type: ignore[call-arg]


def writable_fps(fps: float) -> float:
    """The nearest rate that is a fraction of numbers below 2^16."""
    fps = min(fps, _LARGEST)
    digits = next(digits for digits in (3, 2, 1, 0) if fps * 10**digits <= _LARGEST)
    return round(fps, digits)


def _refusal(path: Path, size_wh: tuple[int, int], fps: float, reason: object) -> InputError:
    size = "{}x{}".format(*size_wh)
    return InputError(
        f"{path}: a film of {size} px at {fps:g} frames a second cannot be written ({reason}); give its frames as a "
        "folder of pictures"
    )


def _pyav() -> Any:
    """The module, or None where it is not installed or lacks the encoder."""
    try:
        import av

        av.codec.Codec("libx264", "w")
    except Exception:  # not there, or built without the encoder, for which it has an error of its own
        return None
    return av


class PyAvWriter(FilmWriter):
    """H.264 in MP4, with sound."""

    suffix = ".mp4"

    def __init__(self, path: Path, fps: float, size_wh: tuple[int, int], sound_of: Path | None) -> None:
        super().__init__(path)
        self._av = _pyav()
        self._fps = Fraction(fps).limit_denominator(1000)
        try:
            self._file = self._av.open(str(path), "w", options={"movflags": "faststart"})
            self._video = self._file.add_stream("libx264", rate=self._fps, options={"crf": _QUALITY})
            self._video.width, self._video.height = size_wh
            self._video.pix_fmt = "yuv420p"
            self._sound = self._open_sound(sound_of)
            self._file.start_encoding()
        except (self._av.FFmpegError, ValueError) as error:
            raise _refusal(path, size_wh, fps, error) from error
        self._frames = 0

    def append(self, pixels: Any) -> None:
        frame = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = self._frames, 1 / self._fps
        self._file.mux(self._video.encode(frame))
        self._frames += 1
        self._add_sound_until(self._frames / self._fps)

    def close(self) -> None:
        self._file.mux(self._video.encode())
        self._file.close()

    def _open_sound(self, source: Path | None) -> Iterator[tuple[Fraction, Any]] | None:
        """The packets of the sound in their order, with the second in which each begins."""
        self.sound = ""
        if source is None:
            return None
        try:
            original = self._av.open(str(source))
        except self._av.FFmpegError as error:
            self.sound = f"lost, it cannot be read ({error})"
            return None
        if not original.streams.audio:
            original.close()
            return None
        stream = original.streams.audio[0]
        name = stream.codec_context.name
        self.sound = f"kept, {name}"
        if name in _MP4_SOUND:
            return self._copied(original, stream, self._file.add_stream_from_template(stream))
        self.sound += " as aac"
        target = self._file.add_stream("aac", rate=stream.codec_context.sample_rate)
        return self._encoded(original, stream, target)

    def _copied(self, original: Any, stream: Any, target: Any) -> Iterator[tuple[Fraction, Any]]:
        with original:
            for packet in original.demux(stream):
                if packet.dts is not None:
                    begins = packet.pts * packet.time_base
                    packet.stream = target
                    yield begins, packet

    def _encoded(self, original: Any, stream: Any, target: Any) -> Iterator[tuple[Fraction, Any]]:
        with original:
            for frame in original.decode(stream):
                begins = Fraction(frame.time or 0)
                for packet in target.encode(frame):
                    yield begins, packet

    def _add_sound_until(self, seconds: Fraction) -> None:
        if self._sound is None:
            return
        try:
            for begins, packet in self._sound:
                self._file.mux(packet)
                if begins >= seconds:
                    return
        except self._av.FFmpegError as error:  # damaged: the film goes on without
            self.sound = f"kept until second {float(seconds):.1f}, where it cannot be read ({error})"
        self._sound = None


class FfmpegWriter(FilmWriter):
    """H.264 in MP4, with sound, by the program ffmpeg."""

    suffix = ".mp4"

    def __init__(self, path: Path, fps: float, size_wh: tuple[int, int], sound_of: Path | None) -> None:
        super().__init__(path)
        self.sound = ""
        self._sound_of = sound_of
        self._fps, self._size_wh, self._frames = fps, size_wh, 0
        size = "{}x{}".format(*size_wh)
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{fps:g}", "-i", "-"]
        written = ["-c:v", "libx264", "-crf", _QUALITY, "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
        self._process = self._start(*raw, *written, f"file:{path}")
        if self._process.poll() is not None:
            self._end()

    def append(self, pixels: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(pixels).tobytes())
        except BrokenPipeError:
            self._end()
        self._frames += 1

    def close(self) -> None:
        if self._process.returncode is None:
            self._end()
            if self._sound_of is not None and self._frames:
                self._add_sound(self._sound_of)

    def _add_sound(self, source: Path) -> None:
        """Put the source's sound beside the film, for as long as that lasts."""
        both = self.path.with_name(f"{self.path.stem}_with_sound{self.path.suffix}")
        seconds = f"{self._frames / self._fps:.3f}"
        streams = ["-map", "0:v", "-map", "1:a?", "-c:v", "copy", "-c:a", "aac", "-t", seconds]
        inputs = ["-i", f"file:{self.path}", "-i", f"file:{source}"]
        process = self._start(*inputs, *streams, "-movflags", "+faststart", f"file:{both}", level="info")
        _, said = process.communicate()
        _, _, output = said.decode(errors="replace").partition("Output #0")
        if process.returncode:
            both.unlink(missing_ok=True)
            self.sound = "lost, ffmpeg cannot read it"
        else:
            both.replace(self.path)
            self.sound = "kept, as aac" if "Audio:" in output else ""

    @staticmethod
    def _start(*arguments: str, level: str = "error") -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [str(shutil.which("ffmpeg")), "-y", "-hide_banner", "-loglevel", level, *arguments],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us, who then close the film
        )

    def _end(self) -> None:
        """Let ffmpeg finish the file; InputError with what it says if it fails."""
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        assert self._process.stderr is not None
        said = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        if self._process.wait():
            raise _refusal(self.path, self._size_wh, self._fps, said[-1] if said else "ffmpeg says nothing")


class OpenCvWriter(FilmWriter):
    """VP9 in WebM, without sound: OpenCV's packages have no encoder of H.264."""

    suffix = ".webm"

    def __init__(self, path: Path, fps: float, size_wh: tuple[int, int], sound_of: Path | None) -> None:
        super().__init__(path)
        self.sound = "lost, if it has any; pip install av, or install ffmpeg, to keep it" if sound_of else ""
        with _silent_stderr():
            self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP90"), fps, size_wh)
        if not self._writer.isOpened():
            raise _refusal(path, size_wh, fps, "OpenCV does not open it")

    def append(self, pixels: Any) -> None:
        self._writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self._writer.release()


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """FFmpeg in OpenCV says that WebM has no tag for VP9, which it does not need."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
