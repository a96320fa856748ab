"""Parsed annotations that are kept as arrays."""

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlepose.datasets import labelled
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.labelled import labelled_persons
from rlepose.errors import InputError


def test_arrays_from_disk_are_those_of_the_file(synthetic: Path, tmp_path: Path) -> None:
    path = synthetic / "annotations" / "person_keypoints_train.json"
    coco = CocoFile(path)
    expected = persons_from_annotations(coco, synthetic / "train")
    for _ in ("parsed", "from disk"):
        table, category, _ = labelled_persons(path, None, synthetic / "train", tmp_path)
        assert category == coco.category and table.image_root == synthetic / "train"
        assert table.left_out == expected.left_out
        for field in dataclasses.fields(table):
            assert field.name == "left_out" or np.array_equal(
                getattr(table, field.name), getattr(expected, field.name)
            ), field.name


def test_the_second_time_nothing_is_parsed(
    write_coco: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_coco()
    labelled_persons(path, None, tmp_path, tmp_path / "cache")
    monkeypatch.setattr(labelled, "CocoFile", lambda *_: pytest.fail("parsed again"))
    table, *_ = labelled_persons(path, None, tmp_path, tmp_path / "cache")
    assert isinstance(table.keypoints, np.memmap)


def test_the_second_time_warns_as_the_first(
    write_coco: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of ids that are probably wrong, of boxes that were made, and of labels outside their picture."""
    path = write_coco([{}, {"category_id": 7}, {"bbox": ...}, {"keypoints": [-50, 15, 2, 50, 40, 2, 20, 41, 1]}])
    warned = []
    for _ in range(2):
        caplog.clear()
        labelled_persons(path, None, tmp_path, tmp_path / "cache")
        warned.append([record.getMessage() for record in caplog.records if record.levelno == logging.WARNING])
    assert warned[0] == warned[1] and len(warned[0]) == 3


def test_a_changed_file_is_parsed_again(write_coco: Callable[..., Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert len(labelled_persons(write_coco(persons=[{}]), None, tmp_path, cache).table) == 1
    assert len(labelled_persons(write_coco(persons=[{}, {}]), None, tmp_path, cache).table) == 2


def test_each_category_has_its_own_arrays(write_coco: Callable[..., Path], tmp_path: Path) -> None:
    path = write_coco(persons=[{}, {"category_id": 2}, {"category_id": 2}])
    tree = json.loads(path.read_text())
    tree["categories"].append({**tree["categories"][0], "id": 2, "name": "dog"})
    path.write_text(json.dumps(tree))
    counts = [
        len(labelled_persons(path, name, tmp_path, tmp_path / "cache").table) for name in ("person", "dog", "person")
    ]
    assert counts == [1, 2, 1]


def test_where_nothing_can_be_written_the_file_is_parsed_with_a_warning(
    write_coco: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file")
    with caplog.at_level(logging.WARNING, logger="rlepose"):
        assert len(labelled_persons(write_coco(), None, tmp_path, tmp_path / "cache").table) == 1
    assert "set data.cache_dir" in caplog.text


@pytest.mark.parametrize("damage", ["cut", "foreign", "lengths", "gone"])
def test_a_damaged_cache_is_made_again_with_a_warning(
    write_coco: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    cache = tmp_path / "cache"
    path = write_coco(persons=[{}, {"iscrowd": 1}])
    expected = labelled_persons(path, None, tmp_path, cache).table
    array = next(cache.glob("*/keypoints.npy"))
    if damage == "cut":
        array.write_bytes(array.read_bytes()[:100])
    elif damage == "foreign":
        array.with_name("about.json").write_text("<html>")
    elif damage == "lengths":
        np.save(array, np.zeros((7, 3, 2), np.float32))
    else:
        array.unlink()
    with caplog.at_level(logging.WARNING, logger="rlepose"):
        table = labelled_persons(path, None, tmp_path, cache).table
    assert caplog.text.count("parsing the file again") == 1
    assert np.array_equal(table.keypoints, expected.keypoints) and table.left_out == {"crowd": 1}
    caplog.clear()
    assert isinstance(labelled_persons(path, None, tmp_path, cache).table.keypoints, np.memmap) and not caplog.text


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json: the annotation file does not exist"):
        labelled_persons(tmp_path / "nowhere.json", None, tmp_path, tmp_path / "cache")
