"""The drawn data set: same seed same bytes, and labels that hold together."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pycocotools.coco
import pytest
from pycocotools.cocoeval import COCOeval

from rlepose.drawn_people.people import PERSON_HEIGHT, make_synthetic, write_synthetic
from rlepose.errors import InputError
from rlepose.pose.skeleton import COCO

NUM_IMAGES = 60


@pytest.fixture(scope="module")
def labels_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic(tmp_path_factory.mktemp("synthetic"), "val", NUM_IMAGES, seed=3)


@pytest.fixture(scope="module")
def tree(labels_path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(labels_path.read_text())
    return content


def pictures(root: Path, split: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((root / split).glob("*.jpg"))]


def keypoints(annotation: dict[str, Any]) -> np.ndarray:
    return np.array(annotation["keypoints"], dtype=float).reshape(17, 3)


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_synthetic(tmp_path / name, "val", 3, seed=1) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert pictures(tmp_path / "a", "val") == pictures(tmp_path / "b", "val")


def test_a_picture_does_not_depend_on_how_many_are_drawn(tmp_path: Path) -> None:
    few, many = (json.loads(write_synthetic(tmp_path / str(n), "val", n, seed=1).read_text()) for n in (2, 4))
    assert pictures(tmp_path / "2", "val") == pictures(tmp_path / "4", "val")[:2]
    assert few["annotations"] == many["annotations"][: len(few["annotations"])]


@pytest.mark.parametrize(("split", "seed"), [("train", 1), ("val", 2)])
def test_another_split_or_seed_gives_other_pictures(tmp_path: Path, split: str, seed: int) -> None:
    write_synthetic(tmp_path / "a", "val", 3, seed=1)
    write_synthetic(tmp_path / "b", split, 3, seed=seed)
    assert not set(pictures(tmp_path / "a", "val")) & set(pictures(tmp_path / "b", split))


def test_every_listed_picture_is_a_jpeg_of_the_listed_size(labels_path: Path, tree: dict[str, Any]) -> None:
    assert len(tree["images"]) == NUM_IMAGES
    for image in tree["images"]:
        picture = cv2.imread(str(labels_path.parents[1] / "val" / image["file_name"]))
        assert picture is not None and picture.shape == (image["height"], image["width"], 3)


def test_pycocotools_gives_the_ground_truth_full_marks(labels_path: Path, tree: dict[str, Any]) -> None:
    truth = pycocotools.coco.COCO(str(labels_path))
    detections = truth.loadRes(
        [
            {"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 1.0}
            for a in tree["annotations"]
        ]
    )
    evaluation = COCOeval(truth, detections, "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_the_category_names_cocos_joints(tree: dict[str, Any]) -> None:
    (category,) = tree["categories"]
    assert category["keypoints"] == list(COCO.names)
    assert [(i - 1, j - 1) for i, j in category["skeleton"]] == list(COCO.bones)


def test_labelled_joints_lie_inside_the_picture_and_others_are_zero(tree: dict[str, Any]) -> None:
    sizes = {image["id"]: (image["width"], image["height"]) for image in tree["images"]}
    for annotation in tree["annotations"]:
        points = keypoints(annotation)
        labelled = points[:, 2] > 0
        assert annotation["num_keypoints"] == labelled.sum() >= 3
        assert np.all(points[labelled, :2] >= 0)
        assert np.all(points[labelled, :2] <= np.array(sizes[annotation["image_id"]]) - 1)
        assert not points[~labelled].any()


def test_boxes_hold_the_visible_joints_and_the_area(tree: dict[str, Any]) -> None:
    inside = []
    for annotation in tree["annotations"]:
        x, y, width, height = annotation["bbox"]
        assert 0 < annotation["area"] <= width * height
        points = keypoints(annotation)
        corner = points[points[:, 2] == 2, :2] - (x, y)
        inside += list(np.all((corner >= -1) & (corner <= (width, height)), axis=1))
    assert np.mean(inside) > 0.99


def test_all_three_visibilities_are_common(tree: dict[str, Any]) -> None:
    counts = Counter(int(v) for annotation in tree["annotations"] for v in keypoints(annotation)[:, 2])
    shares = {v: counts[v] / counts.total() for v in range(3)}
    assert shares[0] > 0.03 and shares[1] > 0.08 and shares[2] > 0.5


def test_people_facing_the_viewer_have_their_left_at_the_pictures_right(tree: dict[str, Any]) -> None:
    left_eye, right_eye, left_shoulder, right_shoulder = (
        COCO.names.index(name) for name in ("left_eye", "right_eye", "left_shoulder", "right_shoulder")
    )
    facing = [
        points[left_shoulder, 0] > points[right_shoulder, 0]
        for points in map(keypoints, tree["annotations"])
        if np.all(points[[left_eye, right_eye, left_shoulder, right_shoulder], 2] == 2)
    ]
    assert len(facing) > 10 and np.mean(facing) > 0.9


def test_people_come_in_several_scales_and_numbers(tree: dict[str, Any]) -> None:
    sizes = [max(annotation["bbox"][2:]) for annotation in tree["annotations"]]
    assert min(sizes) < 1.4 * PERSON_HEIGHT[0] and max(sizes) > 0.7 * PERSON_HEIGHT[1]
    people = Counter(annotation["image_id"] for annotation in tree["annotations"])
    assert len(set(people.values())) >= 3


def test_making_the_same_data_set_again_writes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert make_synthetic(root, {"train": 2, "val": 1}, seed=0)
    (root / "train" / "000000000001.jpg").unlink()
    assert not make_synthetic(root, {"train": 2, "val": 1}, seed=0)
    assert len(pictures(root, "train")) == 1


def test_a_data_set_with_other_arguments_is_not_overwritten(tmp_path: Path) -> None:
    root = tmp_path / "data"
    make_synthetic(root, {"val": 1}, seed=0)
    with pytest.raises(InputError, match="--out"):
        make_synthetic(root, {"val": 1}, seed=1)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="delete it or pass another --out"):
        make_synthetic(tmp_path, {"val": 1}, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize(("sizes", "seed", "option"), [({"val": 0}, 0, "--val"), ({"val": 1}, -1, "--seed")])
def test_impossible_arguments_are_refused_by_name(
    tmp_path: Path, sizes: dict[str, int], seed: int, option: str
) -> None:
    with pytest.raises(InputError, match=option):
        make_synthetic(tmp_path / "data", sizes, seed)


def test_what_an_interrupted_call_left_is_drawn_anew(tmp_path: Path) -> None:
    root = tmp_path / "data"
    make_synthetic(root, {"val": 2}, seed=0)
    (root / "synthetic.json").rename(root / "synthetic.unfinished")
    (root / "val" / "000000000002.jpg").unlink()
    assert make_synthetic(root, {"val": 2}, seed=0)
    assert len(pictures(root, "val")) == 2
    assert not (root / "synthetic.unfinished").exists()


def test_many_pictures_drawn_by_several_processes_are_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_synthetic(tmp_path / "one", "val", 6, seed=0)
    monkeypatch.setattr("rlepose.drawn_people.files.SPREAD_FROM", 1)
    write_synthetic(tmp_path / "several", "val", 6, seed=0)
    assert pictures(tmp_path / "several", "val") == pictures(tmp_path / "one", "val")
