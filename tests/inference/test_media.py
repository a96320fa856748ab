import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rlepose.datasets.images import read_image
from rlepose.errors import InputError
from rlepose.inference.films import Video
from rlepose.inference.input_picture import InputPicture
from rlepose.inference.media import frames_of


def ramp(dtype: type = np.uint8) -> np.ndarray:
    """A picture (20, 30, 3) whose corners differ."""
    y, x = np.mgrid[:20, :30]
    full = 257 if dtype == np.uint16 else 1
    return (np.stack([8 * x, 10 * y, 100 + 0 * x], axis=-1) * full).astype(dtype)


def only(images: object, **options: int) -> InputPicture:
    (frame,) = frames_of(images, **options)  # type: ignore[arg-type]
    return frame


def test_files_of_any_depth_and_channels_become_rgb(tmp_path: Path) -> None:
    grey = ramp()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([ramp(), grey])).save(tmp_path / "rgba.png")
    cv2.imwrite(str(tmp_path / "deep.png"), cv2.cvtColor(ramp(np.uint16), cv2.COLOR_RGB2BGR))
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png", upright=True), np.dstack([grey] * 3))
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png", upright=True), ramp())
    assert np.abs(read_image(tmp_path / "deep.png", upright=True).astype(int) - ramp()).max() <= 1


def test_arrays_of_any_depth_and_channels_become_rgb() -> None:
    grey = ramp()[..., 0]
    for array, expected in (
        (grey, np.dstack([grey] * 3)),
        (grey[..., None], np.dstack([grey] * 3)),
        (np.dstack([ramp(), grey]), ramp()),
        (ramp(np.uint16), ramp()),
    ):
        np.testing.assert_array_equal(only(array).pixels, expected)


def test_a_picture_that_is_brighter_than_its_bit_depth_is_refused() -> None:
    deep = np.full((4, 4), 4095, np.uint16)
    assert only(deep, bits=12).pixels.max() == 255
    deep[2, 2] = 4096
    with pytest.raises(
        InputError, match=r"up to 4096, more than 12 bits hold \(data.bit_depth\); set data.bit_depth=13"
    ):
        only(deep, bits=12)


def test_files_and_arrays_of_12_bits_keep_their_brightness(tmp_path: Path) -> None:
    deep = (ramp().astype(np.uint16) << 4) + 15
    cv2.imwrite(str(tmp_path / "deep.png"), cv2.cvtColor(deep, cv2.COLOR_RGB2BGR))
    grey = Image.fromarray(deep[..., 0])
    np.testing.assert_array_equal(only(tmp_path / "deep.png", bits=12).pixels, ramp())
    np.testing.assert_array_equal(only(deep, bits=12).pixels, ramp())
    np.testing.assert_array_equal(only([grey], bits=12).pixels, np.dstack([ramp()[..., 0]] * 3))


@pytest.mark.parametrize("array", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_arrays_that_are_no_pictures_are_told(array: np.ndarray) -> None:
    assert "expected RGB, RGBA or grey" in only([array]).problem


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "I;16"])
def test_images_of_pil_become_rgb(mode: str) -> None:
    level = 102 * 257 if mode == "I;16" else 102
    image = Image.new(mode, (30, 20), level) if mode in ("L", "I;16") else Image.new("RGB", (30, 20), (102,) * 3)
    pixels = only([image.convert(mode)]).pixels
    assert pixels is not None and pixels.shape == (20, 30, 3) and (pixels == 102).all()


def test_an_image_of_pil_is_turned_upright() -> None:
    image = Image.fromarray(ramp())
    image.getexif()[0x0112] = 6
    np.testing.assert_array_equal(only(image).pixels, np.rot90(ramp(), -1))


@pytest.mark.parametrize("images", [None, 3, (name for name in "ab"), [b"bytes"]])
def test_what_is_no_picture_is_refused_with_what_would_be(images: object) -> None:
    with pytest.raises(InputError, match=r"picture 0: cannot read a \w+; give a path, a NumPy array or a PIL"):
        only(images)


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned: upright is a quarter turn clockwise
    Image.fromarray(ramp()).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png", upright=True), np.rot90(ramp(), -1))


def test_a_gigantic_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for side, message in ((9_458, "9458x9458 px, more than 1,000 pixels"), (90_000, "too large")):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b""))
        assert message in only(tmp_path / "huge.png", max_pixels=1000).problem


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "it is empty"), (b"text", "cannot be decoded"), (None, "cannot read the picture")],
)
def test_what_is_no_picture_is_told_and_the_rest_goes_on(tmp_path: Path, content: bytes | None, message: str) -> None:
    Image.fromarray(ramp()).save(tmp_path / "good.png")
    if content is not None:
        (tmp_path / "bad.png").write_bytes(content)
    bad, good = frames_of([tmp_path / "bad.png", tmp_path / "good.png"])
    assert message in bad.problem and bad.pixels is None
    assert good.pixels is not None


@pytest.mark.parametrize("path", ["no\0path.png", "x" * 5000])
def test_what_can_be_no_path_is_told(path: str) -> None:
    assert "cannot read the picture" in only(path).problem
    assert "cannot read the picture" in only([path]).problem


def test_a_closed_image_of_pil_is_told() -> None:
    image = Image.fromarray(ramp())
    image.close()
    assert "cannot be decoded as a picture" in only(image).problem


def test_a_cut_off_picture_is_told(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    assert "truncated" in only(tmp_path / "cut.jpg").problem


def test_a_folder_gives_its_pictures_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG"):
        Image.fromarray(ramp()).save(tmp_path / name, "PNG")
    (tmp_path / "notes.txt").touch()
    assert [Path(frame.name).name for frame in frames_of(tmp_path)] == ["a.JPG", "b.png"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures in it"):
        list(frames_of(tmp_path))


def test_a_video_gives_its_frames_as_rgb(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    path = write_video(tmp_path / "film.mp4", "mp4v", 12)
    with Video(path) as video:
        assert (video.fps, video.count) == (20, 12)
    frames = list(frames_of(path))
    assert [frame.name for frame in frames] == [f"film.mp4#{number}" for number in range(12)]
    red = [frame.pixels[..., 0].mean() for frame in frames if frame.pixels is not None]
    assert np.abs(np.diff(red) - 8).max() < 4


def test_a_video_that_ends_early_is_told_after_its_frames(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    path = write_video(tmp_path / "film.avi", "MJPG", 30)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    *good, last = frames_of(path)
    assert 5 < len(good) < 25 and all(frame.pixels is not None for frame in good)
    assert f"ends after {len(good)} of 30 frames" in last.problem


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError, match="cannot be opened as a video"):
        list(frames_of(tmp_path / "text.mp4"))
