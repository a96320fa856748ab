"""Categories of different joints in one file, and one head for all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rlepose.datasets.category_groups import own_joints
from rlepose.datasets.crops import PoseDataset
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile, category_skeleton
from rlepose.datasets.formats.detections import persons_from_detections
from rlepose.datasets.labelled import labelled_persons
from rlepose.errors import InputError
from rlepose.pose.joint_sets import HAND

CAT = {"id": 1, "name": "cat", "keypoints": ["nose", "left_paw", "right_paw"], "skeleton": [[1, 2], [1, 3]]}
DOG = {**CAT, "id": 2, "name": "dog"}
HEN = {"id": 5, "name": "hen", "keypoints": ["tail", "nose"], "skeleton": [[2, 1]]}
LABELS = {1: [30, 15, 2, 50, 40, 2, 20, 41, 1], 2: [31, 16, 2, 51, 41, 2, 21, 42, 2], 5: [60, 45, 2, 40, 20, 1]}


@pytest.fixture
def animals(write_coco: Callable[..., Path], tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "picture.png"), np.zeros((80, 100, 3), np.uint8))
    persons = [{"category_id": identity, "keypoints": labels} for identity, labels in LABELS.items()]
    return write_coco(persons, categories=[CAT, DOG, HEN])


def test_the_head_has_the_union_of_joints_and_bones(animals: Path) -> None:
    coco = CocoFile(animals, "all")
    skeleton = coco.skeleton()
    assert skeleton.names == ("nose", "left_paw", "right_paw", "tail")
    assert skeleton.bones == ((0, 1), (0, 2), (0, 3)) and skeleton.flip_permutation == (0, 2, 1, 3)
    assert [(kind.name, kind.category_ids, kind.joints) for kind in coco.groups] == [
        ("cat + 1", (1, 2), (0, 1, 2)),
        ("hen", (5,), (3, 0)),
    ]


def test_joints_of_other_categories_are_without_label_and_weight(animals: Path) -> None:
    coco = CocoFile(animals, "all")
    table = persons_from_annotations(coco, animals.parent)
    assert table.visible.tolist() == [[2, 2, 1, 0], [2, 2, 2, 0], [1, 0, 0, 2]]
    assert table.keypoints[2].tolist() == [[40, 20], [0, 0], [0, 0], [60, 45]]
    assert own_joints(coco.groups, table.category_ids).tolist() == (table.visible > 0).tolist()
    for person in range(3):
        weight = PoseDataset(table, coco.skeleton(), (64, 64), 1.25)[0, person]["weight"]
        assert (weight[:, 0] > 0).tolist() == (table.visible[person] > 0).tolist()


def test_a_file_of_one_kind_stays_as_it_is(animals: Path) -> None:
    coco, tree = CocoFile(animals, ["cat", "dog"]), json.loads(animals.read_text())
    assert coco.annotations == tree["annotations"][:2] and len(coco.groups) == 1
    assert coco.category == tree["categories"][0] | {"name": ["cat", "dog"]}


def test_oks_constants_are_those_of_each_category(write_coco: Callable[..., Path], tmp_path: Path) -> None:
    """Also from the arrays on disk, which know the file no more."""
    hand = {"id": 2, "name": "hand", "keypoints": list(HAND.names)}
    path = write_coco(categories=[{"id": 1, "name": "person", "keypoints": ["nose", "left_hip", "right_hip"]}, hand])
    for _ in range(2):
        labelled = labelled_persons(path, "all", tmp_path, tmp_path / "cache")
        skeleton = category_skeleton(labelled.category, path)
        assert skeleton.oks_sigmas == (0.026, 0.107, 0.107, *HAND.oks_sigmas)


def test_labels_of_another_number_than_the_category_has_joints_are_refused(animals: Path) -> None:
    tree = json.loads(animals.read_text())
    tree["annotations"][2]["keypoints"] = LABELS[1]
    animals.write_text(json.dumps(tree))
    with pytest.raises(InputError, match=r"annotation 3: keypoints: expected 6 numbers for category 5, got 9 values"):
        CocoFile(animals, "all")


def test_names_that_differ_in_spelling_alone_cannot_be_united(write_coco: Callable[..., Path]) -> None:
    path = write_coco(categories=[CAT, HEN | {"keypoints": ["LeftPaw"], "skeleton": []}])
    with pytest.raises(InputError, match="the joint names left_paw, LeftPaw differ only in spelling"):
        CocoFile(path, "all")


def test_a_box_without_category_is_refused_where_joints_differ(animals: Path, tmp_path: Path) -> None:
    entry: dict[str, Any] = {"image_id": 1, "bbox": [10, 10, 30, 40], "score": 0.5}
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([entry | {"category_id": 5}, entry | {"category_id": 7}]))
    coco = CocoFile(animals, "all")
    table = persons_from_detections(coco, tmp_path, boxes, coco.groups)
    assert table.category_ids.tolist() == [5] and table.keypoints.shape == (1, 4, 2)
    boxes.write_text(json.dumps([entry]))
    with pytest.raises(InputError, match=r"boxes\.json: entry 0 has no category_id"):
        persons_from_detections(coco, tmp_path, boxes, coco.groups)
    assert np.array_equal(persons_from_detections(coco, tmp_path, boxes, coco.groups[:1]).category_ids, [1])
