"""Films that browsers play, with their sound."""

import base64
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlepose.drawing import film_writer
from rlepose.drawing.film_writer import (
    FfmpegWriter,
    FilmWriter,
    OpenCvWriter,
    PyAvWriter,
    open_film_writer,
    writable_fps,
)
from rlepose.errors import InputError
from rlepose.inference.films import Video

FRAMES = 12
WRITERS = (OpenCvWriter, PyAvWriter, FfmpegWriter)


@pytest.fixture(params=WRITERS, ids=lambda writer: writer.__name__)
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[FilmWriter]:
    """Each that this machine has, chosen."""
    if request.param is PyAvWriter:
        pytest.importorskip("av", reason="PyAV is not installed")
    if request.param is FfmpegWriter and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    monkeypatch.setattr(film_writer, "choose_writer", lambda: request.param)
    return request.param


def write(stem: Path, size_wh: tuple[int, int] = (64, 48), fps: float = 20, sound_of: Path | None = None) -> FilmWriter:
    """A film that gets redder by 20 a frame."""
    with open_film_writer(stem, fps, size_wh, sound_of) as film:
        for number in range(FRAMES):
            film.write(np.full((size_wh[1], size_wh[0], 3), (20 * number, 0, 0), np.uint8))
    return film


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("size_wh", [(64, 48), (63, 47), (301, 200)])
def test_a_film_holds_its_frames(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    film = write(tmp_path / "film.of.mine", size_wh)
    assert film.path.name.startswith("film.of.mine.")
    with Video(film.path) as video:
        pixels = [frame.pixels for frame in video if frame.pixels is not None]
        assert video.fps == 20
    assert len(pixels) == FRAMES
    assert pixels[0].shape == (size_wh[1] + size_wh[1] % 2, size_wh[0] + size_wh[0] % 2, 3)
    assert np.abs(np.diff([frame[..., 0].mean() for frame in pixels]) - 20).max() < 6


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("fps", [29.97, 66.123, 240.123])
def test_a_film_of_any_rate_is_written(tmp_path: Path, fps: float) -> None:
    with Video(write(tmp_path / "film", fps=fps).path) as video:
        assert video.fps == pytest.approx(fps, rel=1e-3)


def test_rates_are_fractions_of_numbers_that_are_not_too_large() -> None:
    assert [writable_fps(rate) for rate in (25, 29.97, 240.1234, 90_000)] == [25, 29.97, 240.12, 65535]


@pytest.fixture
def browser_page() -> object:
    """A blank page of a browser; the variable as in tests/web/test_in_browser.py."""
    import os

    path = os.environ.get("RLEPOSE_TEST_BROWSER")
    if not path:
        pytest.skip("RLEPOSE_TEST_BROWSER is not set: no browser to play films in")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path) as chromium:
        yield chromium.new_page()


PLAY = """async (address) => {
  const video = document.createElement("video");
  video.muted = true;
  document.body.append(video);
  const ended = new Promise((done) => {
    video.onended = () => done("");
    video.onerror = () => done(video.error.message);
  });
  video.src = address;
  await video.play().catch(() => null);
  const error = await ended;
  return {error, ready: video.readyState, duration: video.duration, at: video.currentTime, width: video.videoWidth};
}"""


def test_a_browser_plays_the_film(writer: type[FilmWriter], tmp_path: Path, browser_page: object) -> None:
    film = write(tmp_path / "film", (320, 240))
    kind = {".webm": "video/webm", ".mp4": "video/mp4"}[film.suffix]
    address = f"data:{kind};base64,{base64.b64encode(film.path.read_bytes()).decode()}"
    played = browser_page.evaluate(PLAY, address)  # type: ignore[attr-defined]
    assert played["error"] == "" and played["ready"] >= 2 and played["width"] == 320
    assert played["duration"] == pytest.approx(FRAMES / 20, abs=0.06)
    assert played["at"] == pytest.approx(played["duration"], abs=0.06)


@pytest.fixture
def with_sound(tmp_path: Path) -> Path:
    """A film of 2 s with a tone of 1 s."""
    av = pytest.importorskip("av", reason="PyAV is not installed, which makes a film with sound")
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as file:
        video, audio = file.add_stream("libx264", rate=20), file.add_stream("aac", rate=44100)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * number, np.uint8), format="rgb24")
            file.mux(video.encode(frame))
        file.mux(video.encode())
        tone = np.sin(np.arange(44100) * 0.06, dtype=np.float32)
        for start in range(0, 44100, 1024):
            sound = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 44100, start
            file.mux(audio.encode(sound))
        file.mux(audio.encode())
    return path


def test_the_sound_is_kept_as_long_as_the_film_lasts(
    writer: type[FilmWriter], tmp_path: Path, with_sound: Path
) -> None:
    film = write(tmp_path / "film", sound_of=with_sound)
    import av

    with av.open(str(film.path)) as file:
        if writer is OpenCvWriter:
            assert not file.streams.audio and film.sound.startswith("lost, if it has any")
            return
        seconds = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
    assert film.sound.startswith("kept")
    assert seconds == pytest.approx(FRAMES / 20, abs=0.1)


def test_a_film_without_sound_stays_so(
    writer: type[FilmWriter], tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    film = write(tmp_path / "film", sound_of=write_video(tmp_path / "silent.avi", "MJPG", FRAMES))
    with Video(film.path) as video:
        assert len(list(video)) == FRAMES
    assert (film.sound == "") == (writer is not OpenCvWriter)


@pytest.mark.usefixtures("writer")
def test_a_film_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/film\.(mp4|webm): a film of 64x48 px at 20 frames a second"):
        write(tmp_path / "nowhere" / "film")


def test_opencv_does_not_talk_of_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(film_writer, "choose_writer", lambda: OpenCvWriter)
    write(tmp_path / "film")
    assert capfd.readouterr().err == ""
