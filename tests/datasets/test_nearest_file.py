"""Which file a name with a mistake probably means."""

import unicodedata
from pathlib import Path

import pytest

from rlepose.datasets.nearest_file import nearest_file


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("a.jpg", "A.JPG"),
        ("Film/a.jpg", "film/a.jpg"),
        ("film\\a.jpg", "film/a.jpg"),
        ("images\\a.jpg", "a.jpg"),
        ("D:\\photos\\images\\a.jpg", "a.jpg"),
        ("frame%201.jpg", "frame 1.jpg"),
        ("film%2Fa.jpg", "film/a.jpg"),
        ("frame 1.jpg", "frame%201.jpg"),
        (unicodedata.normalize("NFD", "Kühe.jpg"), unicodedata.normalize("NFC", "Kühe.jpg")),
        (unicodedata.normalize("NFC", "Kühe/1.jpg"), unicodedata.normalize("NFD", "Kühe/1.jpg")),
        ("images/a.jpg", "a.jpg"),
        ("a.jpg", "images/a.jpg"),
        ("film/a.jpg", "images/film/a.jpg"),
        ("a.jpg ", "a.jpg"),
        ("a.jpg", "a.jpeg"),
        ("a.jpg", "a.PNG"),
    ],
)
def test_the_file_that_was_probably_meant_is_found(tmp_path: Path, name: str, there: str) -> None:
    root = tmp_path / "images"
    put(root / "other.jpg")
    meant = put(root / there)
    assert nearest_file(root, name) == meant


def test_a_folder_spelled_otherwise_is_found(tmp_path: Path) -> None:
    there = put(tmp_path / "Images" / "a.jpg")
    assert nearest_file(tmp_path / "images", "a.jpg") == there


def test_a_picture_beside_the_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    there = put(tmp_path / "train" / "a.jpg")
    assert nearest_file(tmp_path / "val", "train/a.jpg") == there


def test_the_file_that_shares_the_most_folders_wins(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.jpg")
    there = put(tmp_path / "images" / "Film" / "a.jpg")
    assert nearest_file(tmp_path / "images", "film/a.jpg") == there


def test_the_same_extension_wins(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    there = put(tmp_path / "b" / "A.jpg")
    assert nearest_file(tmp_path, "a.jpg") == there


def test_a_file_of_another_name_is_not_near(tmp_path: Path) -> None:
    put(tmp_path / "images" / "b.jpg")
    (tmp_path / "images" / "c.jpg").mkdir()
    assert nearest_file(tmp_path / "images", "a.jpg") is None
    assert nearest_file(tmp_path / "images", "c.jpg") is None
    assert nearest_file(tmp_path / "nowhere" / "images", "a.jpg") is None
