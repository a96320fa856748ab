"""Pictures: their colours, and the files that are refused instead of being half read."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

from rlepose.datasets.images import View, is_truncated_jpeg, read_image
from rlepose.errors import InputError

ORANGE = (250, 120, 20)
JPEG_KINDS = {"baseline": [], "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]}


def noise(seed: int = 0, size_hw: tuple[int, int] = (40, 60)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), np.uint8)


def jpeg(image: NDArray[np.uint8], options: list[int] | None = None) -> bytes:
    return cv2.imencode(".jpg", image, options or [])[1].tobytes()


def with_thumbnail(data: bytes, thumbnail: bytes) -> bytes:
    """The JPEG with another JPEG in an application segment, as cameras store previews."""
    payload = b"Exif\0\0" + thumbnail
    return data[:2] + b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload + data[2:]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- what is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_channels_are_red_green_blue(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"orange{ending}"
    Image.new("RGB", (16, 8), ORANGE).save(path)
    image = read_image(path)
    assert image.shape == (8, 16, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - ORANGE).max() <= 3


def test_a_png_is_read_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    Image.fromarray(noise()).save(path)
    np.testing.assert_array_equal(read_image(path), noise())


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_a_grey_picture_has_three_equal_channels(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"grey{ending}"
    Image.fromarray(noise()[..., 0]).save(path)
    image = read_image(path)
    assert image.shape == (40, 60, 3) and image.std() > 20
    np.testing.assert_array_equal(image, image[..., :1].repeat(3, axis=2))


def test_transparency_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.fromarray(np.dstack([noise(), noise(1)[..., :1]]), "RGBA").save(path)
    np.testing.assert_array_equal(read_image(path), noise())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "deep.tif", "a.avif"])
def test_every_format_is_stored_or_upright_as_asked(tmp_path: Path, name: str, orientation: int) -> None:
    """OpenCV turns every TIFF and no AVIF, whatever it is asked for."""
    stored = cv2.resize(noise(1, (2, 3)), (90, 60), interpolation=cv2.INTER_NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if name == "deep.tif":
        stored[...] = stored[..., :1]
        picture = Image.fromarray(stored[..., 0].astype(np.uint16) << 8)
    else:
        picture = Image.fromarray(stored)
    if name == "a.avif" and not features.check("avif"):
        pytest.skip("Pillow is built without AVIF")
    picture.save(tmp_path / name, exif=exif)
    turned = Image.fromarray(stored)
    turned.getexif()[0x0112] = orientation
    for upright, expected in ((False, stored), (True, np.asarray(ImageOps.exif_transpose(turned)))):
        image = read_image(tmp_path / name, upright)
        assert image.shape == expected.shape
        assert np.abs(image.astype(int) - expected).mean() < 12, "lossy, but not turned"


def test_exif_orientation_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to look at it
    picture = Image.new("RGB", (60, 40), ORANGE)
    picture.save(path, exif=exif)
    assert cv2.imread(str(path)).shape == (60, 40, 3)
    assert read_image(path).shape == (40, 60, 3)


def test_a_picture_with_a_preview_inside_is_read(tmp_path: Path) -> None:
    data = jpeg(noise())
    image = read_image(written(tmp_path / "a.jpg", with_thumbnail(data, jpeg(noise(1, (8, 8))))))
    np.testing.assert_array_equal(image, read_image(written(tmp_path / "b.jpg", data)))


@pytest.mark.parametrize("kind", JPEG_KINDS)
def test_a_picture_with_a_film_behind_it_is_read(tmp_path: Path, kind: str) -> None:
    data = jpeg(noise(), JPEG_KINDS[kind])
    image = read_image(written(tmp_path / "a.jpg", data + b"film \xff\xd9 \xff\xda film"))
    np.testing.assert_array_equal(image, read_image(written(tmp_path / "b.jpg", data)))


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", JPEG_KINDS)
def test_a_jpeg_that_is_cut_off_is_refused(tmp_path: Path, kind: str, kept: float) -> None:
    data = jpeg(noise(), JPEG_KINDS[kind])
    assert read_image(written(tmp_path / "whole.jpg", data)).shape == (40, 60, 3)
    path = written(tmp_path / "cut.jpg", data[: int(len(data) * kept)])
    with pytest.raises(InputError, match=r"cut\.jpg: .*copy or download it again"):
        read_image(path)


def test_a_jpeg_that_lacks_its_last_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cut\.jpg: the JPEG file is truncated"):
        read_image(written(tmp_path / "cut.jpg", jpeg(noise())[:-1]))


def test_a_cut_picture_with_a_whole_preview_inside_is_refused(tmp_path: Path) -> None:
    data = with_thumbnail(jpeg(noise()), jpeg(noise(1, (8, 8))))
    with pytest.raises(InputError, match=r"cut\.jpg: the JPEG file is truncated"):
        read_image(written(tmp_path / "cut.jpg", data[: -len(data) // 4]))


@pytest.mark.parametrize("kind", JPEG_KINDS)
def test_a_jpeg_is_known_to_be_cut_off_wherever_it_ends(kind: str) -> None:
    data = with_thumbnail(jpeg(noise(), JPEG_KINDS[kind]), jpeg(noise(1, (8, 8))))
    preview_ends = data.index(b"\xff\xd9") + 2  # a file cut here ends as a whole one does
    whole = [end for end in range(2, len(data)) if end != preview_ends and not is_truncated_jpeg(data[:end])]
    assert not whole and not is_truncated_jpeg(data)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_png_that_is_cut_off_is_refused(tmp_path: Path, kept: float) -> None:
    data = cv2.imencode(".png", noise())[1].tobytes()
    with pytest.raises(InputError, match=r"cut\.png: cannot be decoded"):
        read_image(written(tmp_path / "cut.png", data[: int(len(data) * kept)]))


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"page\.jpg: .* it is a web page"):
        read_image(written(tmp_path / "page.jpg", b"<html>404 not found</html>"))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"empty\.jpg: .* it is empty"):
        read_image(written(tmp_path / "empty.jpg", b""))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jpg: cannot read the picture \(No such file"):
        read_image(tmp_path / "nowhere.jpg")


@pytest.mark.parametrize("kind", ["no picture", "too large"])
def test_what_its_header_refuses_is_not_read_to_the_end(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "start.png")
    path = written(tmp_path / "huge.png", b"" if kind == "no picture" else (tmp_path / "start.png").read_bytes())
    os.truncate(path, 2**40)  # a hole, more than fits into memory
    with pytest.raises(InputError, match=r"huge\.png: (cannot be decoded|the picture has 60x40 px)"):
        read_image(path, max_pixels=100)


# --- noise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "origin", "rows", "columns"),
    [
        (1, 0, slice(20, 40), slice(10, 30)),
        (2, 0.5, slice(10, 20), slice(5, 15)),  # pixels that hold two by two of the picture
        (1, 15, slice(5, 25), slice(0, 15)),  # the view begins within the rectangle
        (1, 100, slice(0, 0), slice(0, 0)),
    ],
)
def test_noise_covers_the_pixels_of_its_rectangle_and_no_others(
    step: float, origin: float, rows: slice, columns: slice
) -> None:
    pixels = np.full((50, 60, 3), 7, np.uint8)
    view = View(pixels, np.full(2, step, float), np.full(2, origin, float))
    noisy = view.with_noise(np.array([10, 20, 30, 40]), np.random.default_rng(0))
    changed = (noisy.pixels != 7).any(axis=2)
    expected = np.zeros_like(changed)
    expected[rows, columns] = True
    np.testing.assert_array_equal(changed, expected)
    assert (pixels == 7).all()


def test_noise_has_all_levels_alike_and_each_channel_its_own() -> None:
    view = View(np.zeros((64, 64, 3), np.uint8), np.ones(2), np.zeros(2))
    pixels = view.with_noise(np.array([0, 0, 64, 64]), np.random.default_rng(0)).pixels.reshape(-1, 3)
    counts = np.bincount(pixels.ravel(), minlength=256)
    assert counts.min() > 20 and counts.max() < 90  # 48 expected
    assert np.abs(np.corrcoef(pixels.T) - np.eye(3)).max() < 0.1
