"""Animated pictures are films, wherever they stand."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rlepose.errors import InputError
from rlepose.inference.films import Video, is_film, open_film
from rlepose.inference.media import folder_of, frames_of


def animated(path: Path, count: int = 5, milliseconds: int = 40, size: tuple[int, int] = (64, 48)) -> Path:
    """Frames that get redder by 50."""
    frames = [Image.new("RGB", size, (50 * number, 0, 0)) for number in range(count)]
    options = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=milliseconds, **options)
    return path


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.apng"])
def test_an_animated_picture_gives_all_its_frames(tmp_path: Path, name: str) -> None:
    path = animated(tmp_path / name)
    frames = list(frames_of(path))
    assert [(frame.name, frame.frame) for frame in frames] == [(f"{name}#{n}", n) for n in range(5)]
    assert [round(float(f.pixels[..., 0].mean()), -1) for f in frames if f.pixels is not None] == [0, 50, 100, 150, 200]
    with open_film(path) as film:
        assert film.fps == pytest.approx(25) and film.count == 5


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.jpg"])
def test_a_picture_that_stands_still_is_no_film(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / name)
    assert not is_film(tmp_path / name)
    (frame,) = frames_of(tmp_path / name)
    assert frame.name == str(tmp_path / name) and frame.frame is None


def test_a_film_among_pictures_shares_its_number(tmp_path: Path) -> None:
    animated(tmp_path / "b.gif", 3)
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    Image.new("RGB", (64, 48)).save(tmp_path / "c.png")
    expected = [("a.png", 0), ("b.gif#0", 1), ("b.gif#1", 1), ("b.gif#2", 1), ("c.png", 2)]
    for images in (tmp_path, sorted(tmp_path.iterdir())):
        assert [(Path(frame.name).name, frame.number) for frame in frames_of(images)] == expected


def test_a_gif_of_40_frames_gives_40(case_folder: Path) -> None:
    frames = list(frames_of(case_folder / "video" / "walk.gif"))
    assert len(frames) == 40
    assert all(frame.pixels is not None and frame.pixels.shape == (240, 320, 3) for frame in frames)
    assert np.abs(np.diff([f.pixels.astype(int) for f in frames if f.pixels is not None], axis=0)).max() > 50


def test_an_animation_that_is_cut_off_keeps_its_beginning_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)) for _ in range(6)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    data = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(data[: len(data) // 2])
    *good, last = frames_of(tmp_path / "a.gif")
    assert good and all(frame.pixels is not None for frame in good)
    assert len(good) < 6 and (last.problem or len(good) < 5)


def test_an_animation_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.gif: the picture has 64x48 px, more than 100 pixels"):
        open_film(animated(tmp_path / "a.gif"), max_pixels=100)


def test_a_folder_names_what_it_skips(case_folder: Path) -> None:
    folder = folder_of(case_folder / "folder_of_everything")
    assert [Path(sentence.partition(": ")[0]).name for sentence in folder.skipped] == ["clip.mp4", "sub"]
    assert "a video among pictures" in folder.skipped[0] and "a folder in the folder" in folder.skipped[1]
    files = list((case_folder / "folder_of_everything").iterdir())
    assert len(folder.pictures) + len(folder.skipped) == len(files)
    assert all(frame.pixels is not None for frame in frames_of(case_folder / "folder_of_everything"))


@pytest.mark.parametrize("name", ["pipe.jpg", "pipe.gif", "pipe.mp4", "pipe"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / name)
    folder = folder_of(tmp_path)
    assert [file.name for file in folder.pictures] == ["a.png"] and len(folder.skipped) == 1
    assert not is_film(tmp_path / name) or name == "pipe.mp4"
    if name == "pipe.jpg":
        (picture,) = frames_of(tmp_path / name)
        assert "a pipe or a device" in picture.problem


def test_a_video_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    """OpenCV crashes at such a name."""
    path = tmp_path / os.fsdecode(b"film\xff.mp4")
    path.write_bytes(b"film")
    with pytest.raises(InputError, match=r"film\\udcff\.mp4: the name is not valid UTF-8; rename it"):
        Video(path)


def test_a_folder_names_files_of_any_ending_but_a_file_managers(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    for name in ("notes.txt", "raw.CR2", "README", ".hidden.json", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).touch()
    skipped = [Path(sentence.partition(": ")[0]).name for sentence in folder_of(tmp_path).skipped]
    assert skipped == [".hidden.json", "README", "notes.txt", "raw.CR2"]
