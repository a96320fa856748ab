import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlepose.config.reading import load_config
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.inspection.inspect_dataset import inspect_dataset
from rlepose.inspection.overview import overview
from rlepose.inspection.repeats import estimate_oks_sigmas, repeated_labels
from rlepose.inspection.suspicions import Suspicion, suspicions
from rlepose.pose.skeleton import COCO

HAND = {
    "keypoints": ["wrist", "thumb_tip", "index_tip"],
    "skeleton": [[1, 2], [1, 3]],
    "name": "hand",
}


@pytest.fixture
def tree(synthetic: Path) -> dict[str, Any]:
    return json.loads((synthetic / "annotations" / "person_keypoints_train.json").read_text())


def suspicions_of(tree: dict[str, Any], path: Path) -> list[Suspicion]:
    path.write_text(json.dumps(tree))
    coco = CocoFile(path)
    return suspicions(coco, persons_from_annotations(coco, path.parent), coco.skeleton())


def whole_person(tree: dict[str, Any]) -> dict[str, Any]:
    """The largest person with all joints labelled, standing upright."""
    whole = [a for a in tree["annotations"] if all(v > 0 for v in a["keypoints"][2::3])]
    return max(whole, key=lambda a: a["area"])


def swap(person: dict[str, Any], part: str) -> None:
    left, right = 3 * COCO.names.index(f"left_{part}"), 3 * COCO.names.index(f"right_{part}")
    joints = person["keypoints"]
    joints[left : left + 3], joints[right : right + 3] = joints[right : right + 3], joints[left : left + 3]


def test_correct_labels_are_not_suspected(tree: dict[str, Any], tmp_path: Path) -> None:
    assert suspicions_of(tree, tmp_path / "file.json") == []


def test_swapped_hips_are_suspected(tree: dict[str, Any], tmp_path: Path) -> None:
    person = whole_person(tree)
    x, y, width, height = person["bbox"]
    names = {f"left_{part}": COCO.names.index(f"left_{part}") for part in ("shoulder", "hip")}
    names |= {f"right_{part}": COCO.names.index(f"right_{part}") for part in ("shoulder", "hip")}
    # A body seen from the front: shoulders and hips of 40 % of the box's height, hips swapped.
    for name, (dx, dy) in {
        "left_shoulder": (0.7, 0.2),
        "right_shoulder": (0.3, 0.2),
        "left_hip": (0.3, 0.5),
        "right_hip": (0.7, 0.5),
    }.items():
        joint = 3 * names[name]
        person["keypoints"][joint : joint + 3] = [x + dx * height / 2, y + dy * height, 2]
    person["bbox"] = [x, y, max(width, 0.4 * height), height]
    found = suspicions_of(tree, tmp_path / "file.json")
    assert ("swapped sides", person["id"]) in {(s.name, s.annotation) for s in found}


def test_ankles_that_belong_to_the_other_knee_are_suspected(tree: dict[str, Any], tmp_path: Path) -> None:
    person = whole_person(tree)
    x, y, width, height = person["bbox"]
    person["bbox"] = [x, y, max(width, 0.9 * height), height]
    # A wide stance: each ankle under its own knee, far from the other one.
    for name, (dx, dy) in {
        "left_hip": (0.55, 0.5),
        "right_hip": (0.45, 0.5),
        "left_knee": (0.8, 0.7),
        "right_knee": (0.2, 0.7),
        "left_ankle": (0.1, 0.9),
        "right_ankle": (0.9, 0.9),
    }.items():
        joint = 3 * COCO.names.index(name)
        person["keypoints"][joint : joint + 3] = [x + dx * 0.9 * height, y + dy * height, 2]
    found = [s for s in suspicions_of(tree, tmp_path / "file.json") if s.annotation == person["id"]]
    assert any("bones of left_ankle and right_ankle" in s.what for s in found)
    swap(person, "ankle")
    found = [s for s in suspicions_of(tree, tmp_path / "file.json") if s.annotation == person["id"]]
    assert not any("ankle" in s.what for s in found)


def test_boxes_joints_and_copies_are_suspected(write_coco: Callable[..., Path]) -> None:
    path = write_coco(
        persons=[
            {},
            {},
            {"bbox": [10, 10, 60, 0.5]},
            {"bbox": [300, 10, 60, 50]},
            {"bbox": [10, 10, 10, 10], "keypoints": [12, 12, 2, 60, 12, 2, 0, 0, 0]},
        ]
    )
    coco = CocoFile(path)
    found = suspicions(coco, persons_from_annotations(coco, path.parent), coco.skeleton())
    assert {(s.name, s.annotation) for s in found} == {
        ("duplicate", 2),
        ("empty box", 3),
        ("box outside", 4),
        ("joint outside its box", 5),
        ("area unlike its box", 5),
    }


def test_a_file_with_no_pairs_and_no_bones_is_understood(write_coco: Callable[..., Path], tmp_path: Path) -> None:
    path = write_coco(category={"keypoints": ["wrist", "thumb_tip", "index_tip"], "name": "hand", "skeleton": ...})
    report = inspect_dataset(path, None, tmp_path / "out")
    assert (report["pairs"], report["bones"], report["persons"]) == ([], [], 1)
    assert report["unknown_oks_sigmas"] == ["thumb_tip", "index_tip"]
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report


def test_the_numbers_are_those_of_the_file(write_coco: Callable[..., Path]) -> None:
    path = write_coco(
        persons=[{}, {"bbox": [0, 0, 31, 61], "keypoints": [20, 20, 1, 0, 0, 0, 0, 0, 0]}, {"iscrowd": 1}],
        pictures=[{}, {"width": 50}],
    )
    coco = CocoFile(path)
    report = overview(coco, persons_from_annotations(coco, path.parent), coco.skeleton())
    assert report["persons"] == 2 and report["annotations"] == 3 and report["left_out"] == {"crowd": 1}
    assert report["pictures"] == 2 and report["pictures_without_persons"] == 1
    assert report["joints"]["nose"] == {"labelled": 1.0, "visible": 0.5, "oks_sigma": 0.026}
    assert report["joints"]["left_hip"]["labelled"] == 0.5
    assert report["picture_width_px"] == [50, 62.5, 75, 87.5, 100]
    assert report["box_width_px"][0] == 30
    assert report["pairs"] == [["left_hip", "right_hip"]]


def test_oks_sigmas_are_estimated_from_repeated_labels(write_coco: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    truth = np.array([[100.0, 60], [80, 150], [120, 150]])
    sigmas = np.array([0.026, 0.1, 0.05])
    persons = []
    for picture in range(1, 301):
        for _ in range(2):
            # d² / area has the mean sigma², over both coordinates together
            noise = rng.normal(0, 1, (3, 2)) * sigmas[:, None] * np.sqrt(10_000 / 2)
            joints = np.column_stack([truth + noise, [2, 2, 2]]).ravel().tolist()
            box = [50 + rng.uniform(-2, 2), 30, 100, 150]
            persons.append({"image_id": picture, "bbox": box, "area": 10_000, "keypoints": joints})
        persons.append({"image_id": picture, "bbox": [10, 10, 20, 20], "keypoints": [15, 15, 2, 0, 0, 0, 0, 0, 0]})
    coco = CocoFile(write_coco(persons=persons, pictures=[{"width": 250, "height": 300}] * 300))
    table = persons_from_annotations(coco, coco.path.parent)
    assert len(repeated_labels(table)) == 300
    areas = {a["id"]: a["area"] for a in coco.annotations}
    estimated, repeats = estimate_oks_sigmas(table, np.array([areas[i] for i in table.person_ids.tolist()]))
    assert repeats[0] == 300
    np.testing.assert_allclose(estimated, sigmas, rtol=0.1)


def test_an_estimate_replaces_no_constant_that_is_known(
    write_coco: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlepose.inspection.inspect_dataset.estimate_oks_sigmas", lambda *_: ([0.2] * 3, [50] * 3))
    annotations = write_coco(category={"keypoints": ["nose", "left_wing", "right_wing"]})
    report = inspect_dataset(annotations, None, tmp_path / "out")
    assert [joint["oks_sigma"] for joint in report["joints"].values()] == [0.026, 0.2, 0.2]


def test_copies_are_no_repeated_labels(write_coco: Callable[..., Path]) -> None:
    coco = CocoFile(write_coco(persons=[{}] * 20))
    table = persons_from_annotations(coco, coco.path.parent)
    assert estimate_oks_sigmas(table, np.full(20, 2500.0)) == ([None] * 3, [0] * 3)


@pytest.mark.parametrize("with_val", [True, False])
def test_the_config_that_it_writes_is_ready(synthetic: Path, tmp_path: Path, with_val: bool) -> None:
    annotations = synthetic / "annotations"
    val = (annotations / "person_keypoints_val.json", synthetic / "val") if with_val else None
    inspect_dataset(annotations / "person_keypoints_train.json", synthetic / "train", tmp_path / "out", val=val)
    config = load_config(tmp_path / "out" / "config.yaml")
    root = Path(config.data.root)
    assert (root / config.data.train_annotations).samefile(annotations / "person_keypoints_train.json")
    assert (root / config.data.val_images).samefile(synthetic / ("val" if with_val else "train"))
    assert config.data.num_keypoints == 17 and config.data.input_size_hw == (256, 192)
    assert ("Validates on the training data" in (tmp_path / "out" / "config.yaml").read_text()) == (not with_val)
    assert (tmp_path / "out" / "samples.png").stat().st_size > 10_000


def test_without_pairs_the_config_does_not_mirror(write_coco: Callable[..., Path], tmp_path: Path) -> None:
    inspect_dataset(write_coco(category=HAND), tmp_path, tmp_path / "out")
    config = load_config(tmp_path / "out" / "config.yaml")
    assert config.augment.flip_prob == 0 and not config.eval.flip_test
    assert config.data.category == "hand"


def test_real_files_are_understood(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "coco_mini"
    report = inspect_dataset(folder / "annotations" / "person_keypoints_val2017.json", folder / "val2017", tmp_path)
    assert report["persons"] == 68 and report["category"] == "person"
    assert not report["unreadable_pictures"]
    assert {file.name for file in tmp_path.iterdir()} == {"config.yaml", "report.json", "samples.png", "suspicious.png"}


def test_the_command_tells_what_it_found(
    run_script: Callable[..., subprocess.CompletedProcess[str]], write_coco: Callable[..., Path], tmp_path: Path
) -> None:
    result = run_script("inspect_dataset.py", write_coco(persons=[{}, {}]), "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "category        person, 3 joints, 2 bones" in result.stdout
    assert "1 × duplicate" in result.stdout


def test_a_file_to_validate_on_needs_the_pictures_that_the_config_is_written_for(
    run_script: Callable[..., subprocess.CompletedProcess[str]], write_coco: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_coco(persons=[{}, {}])
    result = run_script("inspect_dataset.py", path, "--val", path, "--val-images", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 2 and "--val: " in result.stderr and "add --images FOLDER" in result.stderr
