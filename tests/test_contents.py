"""Files that are something else than expected: what they are is said, and what to do."""

from pathlib import Path

import pytest

from rlepose.contents import foreign_content, foreign_text, head_of
from rlepose.convert.foreign_checkpoint import read_state
from rlepose.datasets.formats.json_file import read_json
from rlepose.datasets.images import read_image
from rlepose.errors import InputError
from rlepose.runtime.checkpoint_file import read_tree


@pytest.mark.parametrize(
    ("head", "description"),
    [
        (b"", "empty; copy or download it again"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b"  <!DOCTYPE HTML><html>", "a web page; download the file itself"),
        (b"<?xml version='1.0'?>", "XML"),
        (b"<annotation>", "XML"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"\0\0\0\x18ftypheic", "a HEIC picture; convert it"),
        (b"\0\0\0\x18ftypmp42", "a video"),
        (b"G" + bytes(187) + b"G", "a video"),
    ],
)
def test_a_foreign_file_is_known_by_its_first_bytes(head: bytes, description: str) -> None:
    found = foreign_content(head)
    assert found is not None and found.startswith(description)


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\x89PNG\r\n", b"\xff\xd8\xff\xe0", b"\x80\x02}", b"GIF89a"])
def test_checkpoints_and_pictures_are_not_foreign(head: bytes) -> None:
    assert foreign_content(head) is None


def test_json_is_not_taken_for_anything_else() -> None:
    assert foreign_text(b'{"images": [') is None and foreign_text(b"[1, 2") is None


def test_the_head_of_a_missing_file_is_empty(tmp_path: Path) -> None:
    assert head_of(tmp_path / "nowhere") == b"" == head_of("a\0b")


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("labels.yaml", b"train: images/train\nnames: [person]\n", "is YAML, not JSON"),
        ("labels.xml", b"<annotation><object/></annotation>", "is XML"),
        ("picture.png", b"\x89PNG\r\n\x1a\n", "is a PNG picture"),
        ("page.json", b"<html><body>Sign in</body></html>", "is a web page"),
        ("none.json", b"", "is empty"),
    ],
)
def test_a_label_file_of_another_format_is_called_what_it_is(
    tmp_path: Path, name: str, content: bytes, cause: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: the annotation file {cause}") as caught:
        read_json(tmp_path / name, "annotation file")
    assert "again" not in str(caught.value) or not content


def test_a_compressed_label_file_is_to_be_unpacked(case_folder: Path) -> None:
    with pytest.raises(InputError, match="is compressed by gzip; unpack it"):
        read_json(case_folder / "gzip" / "ann.json", "annotation file")


@pytest.mark.parametrize("name", ["lfs.pt", "drive.pth", "empty.pt"])
def test_what_is_no_checkpoint_is_called_what_it_is(case_folder: Path, name: str) -> None:
    causes = {"lfs.pt": "a Git LFS pointer", "drive.pth": "a web page", "empty.pt": "empty"}
    with pytest.raises(InputError, match=f"{name}: not a checkpoint: it is {causes[name]}"):
        read_tree(case_folder / "not_checkpoints" / name)


@pytest.mark.parametrize("name", ["lfs.pt", "drive.pth", "empty.pt"])
def test_nobody_is_advised_to_load_unsafely_what_is_no_checkpoint(case_folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"^no checkpoint: it is ") as caught:
        read_state(case_folder / "not_checkpoints" / name)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "cause"), [(b"\0\0\0\x18ftypheic" + bytes(99), "a HEIC picture"), (b"<html></html>", "a web page")]
)
def test_a_picture_of_another_format_is_called_what_it_is(tmp_path: Path, content: bytes, cause: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(InputError, match=f"it is {cause}"):
        read_image(tmp_path / "photo.jpg")
