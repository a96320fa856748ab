"""MPII's files, and their joints as Human3.6M's."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.formats.mpii import mpii_file, persons_as_h36m
from rlepose.errors import InputError
from rlepose.pose.skeleton import H36M, MPII

# As in the files that are passed around: misspelled, and bones counted from 0.
SPELLED = ["r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "throax", "upper_neck", "head_top"]
SPELLED += ["r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist"]
CATEGORY = {"keypoints": SPELLED, "skeleton": [[0, 1], [8, 9]]}
# x tells the joint: 10, 11, … 25.
KEYPOINTS = [value for joint in range(16) for value in (10 + joint, 20, 1 + joint % 2)]


def test_joints_get_the_projects_names_and_bones(write_coco: Callable[..., Path]) -> None:
    file = mpii_file(write_coco([{"keypoints": KEYPOINTS}], category=CATEGORY))
    skeleton = file.skeleton()
    assert skeleton.names == MPII.names and skeleton.bones == MPII.bones
    assert len(persons_from_annotations(file, "images")) == 1


def test_bones_that_count_from_0_are_understood_without_knowing_the_data_set(
    write_coco: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    skeleton = CocoFile(write_coco([{"keypoints": KEYPOINTS}], category=CATEGORY)).skeleton()
    assert skeleton.bones == ((0, 1), (8, 9)) and len(skeleton.flip_pairs) == 6
    assert "the bones count joints from 0" in caplog.text


def test_each_joint_lands_at_its_namesake_in_human36m(write_coco: Callable[..., Path]) -> None:
    table = persons_as_h36m(write_coco([{"keypoints": KEYPOINTS}], category=CATEGORY), "images")
    assert table.keypoints.shape == (1, 18, 2)
    namesakes = {"Neck": "neck", "Head": "head", "Pelvis": "pelvis", "Thorax": "thorax"}
    for index, name in enumerate(H36M.names):
        if name in ("Torso", "Nose"):
            assert table.visible[0, index] == 0 and not table.keypoints[0, index].any()
            continue
        source = namesakes.get(name) or name.lower().replace("l_", "left_").replace("r_", "right_")
        joint = MPII.names.index(source)
        assert table.keypoints[0, index].tolist() == [10 + joint, 20]
        assert table.visible[0, index] == 1 + joint % 2


def test_a_joint_without_label_stays_without(write_coco: Callable[..., Path]) -> None:
    keypoints = [*KEYPOINTS[:-3], 0, 0, 0]
    table = persons_as_h36m(write_coco([{"keypoints": keypoints}], category=CATEGORY), "images")
    assert table.visible[0, H36M.names.index("L_Wrist")] == 0
    assert np.count_nonzero(table.visible) == 15


@pytest.mark.parametrize("names", [SPELLED[:-1], [*SPELLED[:-1], "r_wrist2"], ["a"] * 16])
def test_other_joints_are_refused(write_coco: Callable[..., Path], names: list[str]) -> None:
    path = write_coco([{"keypoints": KEYPOINTS}], category={"keypoints": names})
    with pytest.raises(InputError, match=r"expected the joints right_ankle, .* check the file"):
        mpii_file(path)
