"""The table of persons: selections, and pictures that are not there."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError

WriteCoco = Callable[..., Path]


@pytest.fixture
def table_of(write_coco: WriteCoco, tmp_path: Path) -> Callable[..., PersonTable]:
    """table_of(file names, picture of each person) -> table below tmp_path/pictures; pictures count from 1."""

    def make(files: Sequence[str], pictures_of_persons: Sequence[int]) -> PersonTable:
        persons = [{"image_id": picture} for picture in pictures_of_persons]
        path = write_coco(persons, [{"file_name": name} for name in files])
        return persons_from_annotations(CocoFile(path), tmp_path / "pictures")

    return make


def put(root: Path, *files: str) -> None:
    """Files of these names; what they hold does not matter here."""
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_selection_keeps_the_pictures(table_of: Callable[..., PersonTable]) -> None:
    table = table_of(["a.png", "b.png"], [1, 2]).select(np.array([False, True]))
    assert table.person_ids.tolist() == [2] and table.person_image_ids().tolist() == [2]
    assert table.image_ids.tolist() == [1, 2]


# --- pictures that are not there ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["error", "skip"])
def test_with_all_pictures_there_the_table_is_the_same(
    table_of: Callable[..., PersonTable], mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = table_of(["a.png", "b.png"], [1, 2, 1])
    put(table.image_root, "a.png", "b.png")
    assert table.with_pictures(mode) is table
    assert not caplog.records


def test_missing_pictures_are_refused_with_their_number_and_the_first(table_of: Callable[..., PersonTable]) -> None:
    table = table_of(["a.png", "b.png", "c.png"], [3, 1, 2, 3])
    put(table.image_root, "a.png")
    message = r"^2 of 3 pictures are missing, first .*/pictures/b\.png; .*data\.on_bad_image=skip"
    with pytest.raises(InputError, match=message):
        table.with_pictures("error")


def test_a_missing_folder_is_refused_as_all_pictures_missing(table_of: Callable[..., PersonTable]) -> None:
    with pytest.raises(InputError, match=r"^2 of 2 pictures are missing, first .*/pictures/a\.png"):
        table_of(["a.png", "b.png"], [1, 2]).with_pictures("error")


def test_persons_of_missing_pictures_are_left_out_in_mode_skip(
    table_of: Callable[..., PersonTable], caplog: pytest.LogCaptureFixture
) -> None:
    table = table_of(["a.png", "b.png"], [2, 1, 2, 1])
    put(table.image_root, "a.png")
    with caplog.at_level(logging.WARNING, logger="rlepose"):
        kept = table.with_pictures("skip")
    assert kept.person_ids.tolist() == [2, 4] and kept.image_path(1).name == "a.png"
    assert caplog.messages == [
        f"1 of 2 pictures are missing, first {table.image_root / 'b.png'}; their persons are skipped"
    ]


def test_pictures_may_lie_in_nested_folders(table_of: Callable[..., PersonTable]) -> None:
    table = table_of(["a.png", "sub/a.png", "sub/deep/b.png", "other/b.png"], [1, 2, 3, 4])
    put(table.image_root, "a.png", "sub/a.png", "sub/deep/b.png")
    assert table.with_pictures("skip").person_ids.tolist() == [1, 2, 3]
    with pytest.raises(InputError, match=r"^1 of 4 pictures are missing, first .*/pictures/other/b\.png"):
        table.with_pictures("error")


def test_a_missing_picture_without_persons_does_not_matter(table_of: Callable[..., PersonTable]) -> None:
    table = table_of(["a.png", "nobody.png"], [1])
    put(table.image_root, "a.png")
    assert table.with_pictures("error") is table


def test_no_picture_at_all_is_refused_in_mode_skip_too(table_of: Callable[..., PersonTable]) -> None:
    with pytest.raises(InputError, match="so no person remains; check data"):
        table_of(["a.png", "b.png"], [1, 2]).with_pictures("skip")
