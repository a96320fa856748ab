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
        table, category = labelled_persons(path, None, synthetic / "train", tmp_path)
        assert category == coco.category and table.image_root == synthetic / "train"
        for field in dataclasses.fields(table):
            assert np.array_equal(getattr(table, field.name), getattr(expected, field.name)), field.name


def test_the_second_time_nothing_is_parsed(
    write_coco: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_coco()
    labelled_persons(path, None, tmp_path, tmp_path / "cache")
    monkeypatch.setattr(labelled, "CocoFile", lambda *_: pytest.fail("parsed again"))
    table, _ = labelled_persons(path, None, tmp_path, tmp_path / "cache")
    assert isinstance(table.keypoints, np.memmap)


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


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json: the annotation file does not exist"):
        labelled_persons(tmp_path / "nowhere.json", None, tmp_path, tmp_path / "cache")
