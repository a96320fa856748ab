"""Parts of an annotation file: complete, without a common group, and never in place of another file."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlepose.errors import InputError
from rlepose.preparation.split import split_file

SHARES = {"tune": 0.2, "calibrate": 0.2}


@pytest.fixture
def source(write_coco: Callable[..., Path]) -> Path:
    """hands_train2017.json: ten persons' pictures, of which every second shows two hands."""
    pictures = [{"who": number // 2, "licence": number} for number in range(20)]
    persons = [{"image_id": 1 + number // 3 * 2 + (number % 3 > 0), "note": number} for number in range(30)]
    path = write_coco(persons, pictures, info={"year": 2020})
    return path.rename(path.with_name("hands_train2017.json"))


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_the_parts_are_the_file(source: Path) -> None:
    whole = read(source)
    parts = split_file(source, source.parent, SHARES, "who")
    trees = [read(part.path) for part in parts]
    for key in ("images", "annotations"):
        entries = [entry for tree in trees for entry in tree[key]]
        assert sorted(entries, key=lambda entry: entry["id"]) == whole[key]
        assert all(tree[key] == sorted(tree[key], key=lambda entry: entry["id"]) for tree in trees)
    for part, tree in zip(parts, trees, strict=True):
        assert {k: v for k, v in tree.items() if k not in ("images", "annotations")} == {
            k: v for k, v in whole.items() if k not in ("images", "annotations")
        }
        shown = {image["id"] for image in tree["images"]}
        assert {annotation["image_id"] for annotation in tree["annotations"]} == shown
        assert (part.groups, part.pictures, part.persons) == (len(shown) // 2, len(shown), len(tree["annotations"]))


def test_nobody_is_in_two_parts(source: Path) -> None:
    parts = split_file(source, source.parent, SHARES, "who")
    people = [{image["who"] for image in read(part.path)["images"]} for part in parts]
    assert [len(part) for part in people] == [6, 2, 2]
    assert len(set.union(*people)) == 10


def test_without_groups_neighbours_stay_together(source: Path) -> None:
    parts = split_file(source, source.parent, SHARES, blocks=5)
    ids = [[image["id"] for image in read(part.path)["images"]] for part in parts]
    assert [len(part) for part in ids] == [12, 4, 4]
    blocks = [{(number - 1) // 4 for number in part} for part in ids]
    assert [len(part) for part in blocks] == [3, 1, 1]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("faces_train.json", ["faces_fit.json", "faces_tune.json"]),
        ("train.json", ["fit.json", "tune.json"]),
        ("person_keypoints_train2017.json", ["person_keypoints_fit2017.json", "person_keypoints_tune2017.json"]),
        ("hands.json", ["hands_fit.json", "hands_tune.json"]),
    ],
)
def test_files_are_named_after_the_one_that_is_split(
    source: Path, tmp_path: Path, name: str, written: list[str]
) -> None:
    source = source.rename(source.with_name(name))
    parts = split_file(source, tmp_path / "parts", {"tune": 0.2}, "who")
    assert [part.path for part in parts] == [tmp_path / "parts" / file for file in written]


def test_files_of_an_earlier_split_are_replaced_only_if_asked(source: Path) -> None:
    kept = source.with_name("hands_tune2017.json")
    kept.write_text("{}")
    with pytest.raises(InputError, match=r"hands_tune2017\.json: already exists; pass --overwrite"):
        split_file(source, source.parent, SHARES, "who")
    assert kept.read_text() == "{}" and not source.with_name("hands_fit2017.json").exists()
    split_file(source, source.parent, SHARES, "who", overwrite=True)
    assert len(read(kept)["images"]) == 4


def test_the_file_itself_is_never_replaced(source: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(InputError, match=r"hands_train2017\.json: a part would replace the file that is split"):
        split_file(source, source.parent, {"train": 0.2}, "who", overwrite=True)
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("key", "problem"),
    [("width", "has only one group by 'width'"), ("film", "image 1: its group 'film' is missing")],
)
def test_a_key_that_makes_no_groups_is_refused(source: Path, key: str, problem: str) -> None:
    with pytest.raises(InputError, match=rf"hands_train2017\.json: {problem}"):
        split_file(source, source.parent, SHARES, key)
    assert [*source.parent.iterdir()] == [source]


def test_one_picture_cannot_be_split(write_coco: Callable[..., Path]) -> None:
    path = write_coco()
    with pytest.raises(InputError, match=r"has fewer than two pictures, so it cannot be split"):
        split_file(path, path.parent, SHARES)


def test_a_person_without_picture_is_named(write_coco: Callable[..., Path]) -> None:
    path = write_coco(persons=[{}, {"image_id": 9}], pictures=[{}, {}])
    with pytest.raises(InputError, match=r"annotations\.json: annotation 2: no picture 9 in 'images'"):
        split_file(path, path.parent, SHARES)


def test_numbers_that_json_does_not_have_are_told(write_coco: Callable[..., Path]) -> None:
    path = write_coco(persons=[{"image_id": n, "area": float("nan")} for n in range(1, 11)], pictures=[{}] * 10)
    with pytest.raises(InputError, match=r"annotations\.json: contains NaN or infinity"):
        split_file(path, path.parent, {"tune": 0.2})


def test_a_tenth_of_the_people_of_a_real_file_is_a_tenth_of_its_faces(real_data: Path, tmp_path: Path) -> None:
    parts = split_file(
        real_data / "faces" / "annotations" / "faces_train.json",
        tmp_path,
        {"tune": 0.1, "calibrate": 0.1},
        group_key="group",
    )
    assert [part.persons for part in parts] == [2715, 339, 339]
    people = [{image["group"] for image in read(part.path)["images"]} for part in parts]
    assert [len(part) for part in people] == [part.groups for part in parts]
    assert sum(part.groups for part in parts) == len(set.union(*people)) == 279


def test_the_command_says_what_is_where(
    run_script: Callable[..., subprocess.CompletedProcess[str]], source: Path
) -> None:
    command = ("split_dataset.py", source, "--group-key", "who", "--shares", "tune=0.2", "test=0.3")
    result = run_script(*command)
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows == [
        ["part", "groups", "pictures", "persons", "file"],
        ["fit", "5", "10", "15", str(source.with_name("hands_fit2017.json"))],
        ["tune", "2", "4", "6", str(source.with_name("hands_tune2017.json"))],
        ["test", "3", "6", "9", str(source.with_name("hands_test2017.json"))],
    ]
    result = run_script(*command)
    assert result.returncode == 2 and "already exists" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--shares", "tune"], "expected PART=SHARE with a share above 0 and below 1"),
        (["--shares", "tune=1"], "expected PART=SHARE with a share above 0 and below 1"),
        (["--shares", "fit=0.1"], "none named fit, got fit=0.1"),
        (["--shares", "tune=0.1", "tune=0.2"], "each part once"),
        (["--shares", "../tune=0.1"], "expected PART=SHARE"),
        (["--shares", "tune=0.5", "calibrate=0.5"], "leave nothing to train on"),
        (["--blocks", "5", "--group-key", "who"], "cannot be used with --group-key"),
        (["--blocks", "1"], "expected 2 or more"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    run_script: Callable[..., subprocess.CompletedProcess[str]], source: Path, arguments: list[str], complaint: str
) -> None:
    result = run_script("split_dataset.py", source, *arguments)
    assert result.returncode == 2 and complaint in result.stderr
    assert [*source.parent.iterdir()] == [source]
