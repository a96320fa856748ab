"""Pictures and annotation files that are broken, or made to break something: a refusal, and little memory."""

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.formats.json_file import read_json
from rlepose.datasets.images import read_image
from rlepose.errors import InputError


def png(width: int, height: int, row: bytes) -> bytes:
    """A PNG that claims this size; all rows are this one."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(row * height) if row else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [png(31_623, 31_623, b""), png(2**20, 1000, b""), png(10_000, 9_000, bytes(30_001))],
    ids=["a header of 10^9 pixels", "a row of 10^6 pixels", "90 megapixels in 260 kB"],
)
def test_a_picture_that_would_fill_the_memory_is_refused_by_its_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(content)
    assert len(content) < 300_000
    with pytest.raises(InputError, match=r"bomb\.png: the picture (is too large|has .* px, more than )"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_picture_that_is_cut_off_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    content = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))[1].tobytes()
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(content)
    assert read_image(path).shape == (60, 80, 3)
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=rf"picture\{suffix}: "):
        read_image(path)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_other_kinds_of_pixels_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    Image.new("L", (80, 60), 128).convert(mode).save(path)
    image = read_image(path)
    assert image.shape == (60, 80, 3) and image.dtype == np.uint8


def test_of_an_animation_the_first_picture_is_taken(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (80, 60), color) for color in ("red", "blue"))
    first.save(tmp_path / "animated.gif", save_all=True, append_images=[second] * 3)
    red, _, blue = read_image(tmp_path / "animated.gif").mean((0, 1))
    assert red > 200 and blue < 50


def test_the_cameras_rotation_is_left_out_as_coco_leaves_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.new("RGB", (80, 60)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (60, 80, 3)


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_of_random_damage_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for suffix in (".jpg", ".png"):
        content = cv2.imencode(suffix, rng.integers(0, 256, (60, 80, 3), np.uint8))[1]
        for _ in range(30):
            damaged = content.copy()
            damaged[rng.integers(0, len(content), 8)] = rng.integers(0, 256, 8)
            (tmp_path / f"picture{suffix}").write_bytes(damaged.tobytes())
            try:
                assert read_image(tmp_path / f"picture{suffix}").ndim == 3
            except InputError:
                continue


NO_JSON = {
    "empty": "",
    "open": "{",
    "10,000 nested lists": "[" * 10_000 + "]" * 10_000,
    "nested lists without end": "[" * 100_000,
    "nested objects without end": '{"a":' * 100_000,
    "5,000 digits": "1" * 5000,
    "no UTF-8": "\xff",
    "broken": '{"images": [}',
    "half a word": "nul",
}


@pytest.mark.parametrize("text", NO_JSON.values(), ids=NO_JSON)
def test_text_that_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "annotations.json"
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(InputError, match=r"annotations\.json: the file is (not valid JSON|empty)"):
        read_json(path, "file")


def test_a_file_that_is_not_there_is_not_called_broken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^{tmp_path / 'nowhere.json'}: the file does not exist"):
        read_json(tmp_path / "nowhere.json", "file")


def test_a_file_too_large_to_parse_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    path.touch()
    os.truncate(path, 2 * 10**9 + 1)  # a hole: nothing on the disk
    with pytest.raises(InputError, match=rf"^{path}: the file has 2\.0 GB, more than 2\.0 GB"):
        read_json(path, "file")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 400])
@pytest.mark.parametrize("where", ["keypoints", "bbox"])
def test_a_number_that_is_none_is_refused(write_coco: Callable[..., Path], number: str, where: str) -> None:
    values = [10, 10, 2, 50, 40, 2, 20, 41, 1] if where == "keypoints" else [10, 10, 60, 50]
    path = write_coco([{where: values}])
    first = json.dumps(values)
    path.write_text(path.read_text().replace(first, first.replace("[10", f"[{number}", 1)))
    with pytest.raises(InputError, match=r"annotations\.json"):
        persons_from_annotations(CocoFile(path), path.parent)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../secret.jpg"])
def test_a_picture_outside_the_folder_is_refused(write_coco: Callable[..., Path], name: str) -> None:
    with pytest.raises(InputError, match="leads outside the picture folder"):
        CocoFile(write_coco(pictures=[{"file_name": name}]))
