"""On which side of the picture the joints of a pair lie."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.persons import PersonTable
from rlepose.inspection.pair_sides import doubtful_sides, pair_sides
from rlepose.pose.skeleton import COCO


@pytest.fixture
def facing(synthetic: Path) -> PersonTable:
    """Persons of whom each joint of the left is to the right of its twin, as in bodies that face the camera."""
    path = synthetic / "annotations" / "person_keypoints_train.json"
    table = persons_from_annotations(CocoFile(path), synthetic)
    keypoints = table.keypoints.copy()
    for left, right in COCO.flip_pairs:
        keypoints[:, left, 0], keypoints[:, right, 0] = 60, 40
    return replace(table, keypoints=keypoints, visible=np.full_like(table.visible, 2))


def mirrored(table: PersonTable, pairs: list[tuple[int, int]]) -> PersonTable:
    keypoints = table.keypoints.copy()
    for left, right in pairs:
        keypoints[:, [left, right]] = keypoints[:, [right, left]]
    return replace(table, keypoints=keypoints)


def test_bodies_that_face_the_camera_are_not_doubted(facing: PersonTable) -> None:
    pairs = pair_sides(facing, COCO)
    assert [pair.left_first for pair in pairs] == [0.0] * 8 and doubtful_sides(pairs) == []


def test_the_viewers_left_is_noticed(facing: PersonTable) -> None:
    (doubt,) = doubtful_sides(pair_sides(mirrored(facing, COCO.flip_pairs), COCO))
    assert "the viewer's left" in doubt


def test_a_pair_that_disagrees_with_the_others_is_named(facing: PersonTable) -> None:
    (doubt,) = doubtful_sides(pair_sides(mirrored(facing, COCO.flip_pairs[2:3]), COCO))
    assert doubt.startswith("left_shoulder – right_shoulder: left lies on the picture's left")
    assert "have changed places" in doubt


def test_mixed_views_say_nothing(facing: PersonTable) -> None:
    keypoints = facing.keypoints.copy()
    keypoints[::2, :, 0] = 100 - keypoints[::2, :, 0]
    assert doubtful_sides(pair_sides(replace(facing, keypoints=keypoints), COCO)) == []


def test_few_persons_say_nothing(facing: PersonTable) -> None:
    few = facing.select(np.arange(len(facing)) < 19)
    assert pair_sides(mirrored(few, COCO.flip_pairs), COCO) == []
