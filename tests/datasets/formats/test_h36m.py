"""Human3.6M's files: JSON, the converted .npz, and what is wrong with them."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.datasets.formats.h36m import METRIC_JOINTS, persons_from_h36m
from rlepose.datasets.formats.h36m_npz import persons_from_h36m_npz
from rlepose.datasets.persons3d import check_subjects
from rlepose.errors import InputError
from rlepose.pose.camera import project, world_to_camera
from rlepose.pose.skeleton import H36M, H36M_ROOT

TAKE = "s_01_act_02_subact_01_ca_01"
CAMERA = {"R": np.eye(3).tolist(), "t": [0, 0, 0], "f": [1100, 1200], "c": [500, 510]}


def world(seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(17, 3)) * 200 + (0, 0, 4000)


@pytest.fixture
def write_h36m(tmp_path: Path) -> Callable[..., Path]:
    """write_h36m({…}, {…}) -> path of a file with a person for each dict, which says how it differs from a valid one.

    Keys `R`, `t`, `f`, `c` go into cam_param, `take` into the picture's name; `...` takes a key out.
    """

    def write(*persons: Mapping[str, Any]) -> Path:
        images, annotations = [], []
        for number, changes in enumerate(persons or ({},)):
            take = changes.get("take", TAKE)
            images.append({"id": number, "file_name": f"{take}/{take}_000001.jpg", "width": 1000, "height": 1002})
            person = {"id": 10 + number, "image_id": number, "bbox": [0, 0, 1000, 1002], "cam_param": dict(CAMERA)}
            person["keypoints_world"] = world(number).tolist()
            for key, value in changes.items():
                (person["cam_param"] if key in "Rtfc" else person)[key] = value
            if isinstance(person["cam_param"], dict):
                person["cam_param"] = {key: value for key, value in person["cam_param"].items() if value is not ...}
            annotations.append({key: value for key, value in person.items() if value is not ...})
        path = tmp_path / "h36m.json"
        path.write_text(json.dumps({"images": images, "annotations": annotations}))
        return path

    return write


# --- JSON -----------------------------------------------------------------------------------------------------------


def test_joints_in_pixels_and_depth_are_those_of_the_camera(
    write_h36m: Callable[..., Path], reference3d: Mapping[str, NDArray]
) -> None:
    ahead = reference3d["camera/world"] + reference3d["camera/R"].T @ (0, 0, 4000)
    camera = {name: reference3d[f"camera/{name}"].tolist() for name in "Rtfc"}
    table = persons_from_h36m(write_h36m({"keypoints_world": ahead.tolist(), **camera}), "images")
    expected = reference3d["camera/image"]
    np.testing.assert_allclose(table.keypoints[0, :17], expected[:, :2], atol=1e-4)
    np.testing.assert_allclose(table.depth[0, :17], expected[:, 2] - expected[H36M_ROOT, 2], atol=1e-3)
    np.testing.assert_allclose(table.joints_mm()[0, :17], reference3d["camera/cam_plus_4m"], atol=2e-3)


def test_the_thorax_is_the_middle_of_the_shoulders_and_not_counted(write_h36m: Callable[..., Path]) -> None:
    joints = persons_from_h36m(write_h36m(), "images").joints_mm()[0]
    shoulders = [H36M.names.index(name) for name in ("L_Shoulder", "R_Shoulder")]
    np.testing.assert_allclose(joints[17], joints[shoulders].mean(axis=0), atol=1e-2)
    assert H36M.names[17] == "Thorax" and 17 not in METRIC_JOINTS and len(METRIC_JOINTS) == 17


def test_mirroring_swaps_the_sides() -> None:
    swapped = [H36M.names[i] for i in H36M.flip_permutation]
    assert swapped[1:4] == ["L_Hip", "L_Knee", "L_Ankle"] and swapped[14:17] == ["L_Shoulder", "L_Elbow", "L_Wrist"]
    assert not H36M.without_twin and len(H36M.flip_pairs) == 6


def test_subject_action_and_picture_come_from_the_files_name(write_h36m: Callable[..., Path]) -> None:
    table = persons_from_h36m(write_h36m({}, {"take": "s_11_act_14_subact_02_ca_03"}), "pictures")
    assert table.subject.tolist() == [1, 11]
    assert table.action.tolist() == ["Directions", "Walking"]
    assert table.image_path(0) == Path("pictures") / TAKE / f"{TAKE}_000001.jpg"


def test_damaged_takes_are_left_out(write_h36m: Callable[..., Path]) -> None:
    damaged = [{"take": f"s_09_{take}_ca_02"} for take in ("act_05_subact_02", "act_10_subact_02", "act_13_subact_01")]
    table = persons_from_h36m(write_h36m(*damaged, {"take": "s_09_act_05_subact_01_ca_02"}), "images")
    assert table.image_files.tolist() == ["s_09_act_05_subact_01_ca_02/s_09_act_05_subact_01_ca_02_000001.jpg"]


def test_selecting_persons_keeps_their_cameras(write_h36m: Callable[..., Path]) -> None:
    table = persons_from_h36m(write_h36m({}, {"f": [900, 901]}), "images")
    np.testing.assert_allclose(table.select(np.array([1])).joints_mm()[0], table.joints_mm()[1])
    assert table.select(np.array([1])).focal.tolist() == [[900, 901]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cam_param": ...}, r"annotation 11: cam_param\.R: expected 3 × 3 finite numbers, got nothing"),
        ({"t": ...}, r"annotation 11: cam_param\.t: expected 3 finite numbers, got nothing"),
        ({"R": [[1, 0], [0, 1]]}, r"annotation 11: cam_param\.R: expected 3 × 3 finite numbers, got"),
        ({"f": [1100, "x"]}, r"annotation 11: cam_param\.f: expected 2 finite numbers"),
        ({"f": [1100, -1]}, r"annotation 11: cam_param\.f: expected focal lengths above 0 px"),
        ({"R": np.diag([1, 1, -1]).tolist()}, r"annotation 11: cam_param\.R: expected a rotation"),
        ({"R": (2 * np.eye(3)).tolist()}, r"annotation 11: cam_param\.R: expected a rotation"),
        ({"c": [None, 3]}, r"annotation 11: cam_param\.c: expected 2 finite numbers"),
        ({"keypoints_world": [[0, 0, 0]]}, r"annotation 11: keypoints_world: expected 17 × 3 finite numbers"),
        ({"keypoints_world": [[float("nan")] * 3] * 17}, r"annotation 11: keypoints_world: expected 17 × 3 finite"),
        ({"t": [0, 0, 9000]}, r"1 persons have joints behind their camera, first in annotation 11"),
        ({"image_id": 77}, r"annotation 11: no picture 77 in 'images'"),
        ({"take": "picture"}, r"image 1: expected width, height and a file_name like s_01_act_02"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(
    write_h36m: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        persons_from_h36m(write_h36m({}, changes), "images")


def test_labels_away_from_where_the_camera_sees_them_are_counted(
    write_h36m: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    pixels = [project(world(n), CAMERA["f"], CAMERA["c"]) for n in range(3)]
    pixels[2][4] += (0, 6)
    with caplog.at_level(logging.WARNING):
        persons_from_h36m(write_h36m(*({"keypoints_img": one.tolist()} for one in pixels)), "images")
    assert "the projections of 1 of 3 persons are more than 5 px from keypoints_img, first 12 by 6 px" in caplog.text


def test_a_pelvis_outside_its_box_in_most_persons_is_refused(write_h36m: Callable[..., Path]) -> None:
    path = write_h36m({"bbox": [0, 0, 9, 9]}, {"bbox": [0, 0, 9, 9]}, {})
    with pytest.raises(InputError, match=r"2 of 3 persons are .*; check that cameras and labels belong together"):
        persons_from_h36m(path, "images")


def test_a_subject_in_both_files_is_refused(write_h36m: Callable[..., Path]) -> None:
    train = persons_from_h36m(write_h36m({}, {"take": "s_09_act_14_subact_01_ca_01"}), "images")
    test = persons_from_h36m(write_h36m({"take": "s_09_act_03_subact_01_ca_01"}), "images")
    with pytest.raises(InputError, match="subjects 9 of"):
        check_subjects(train, test)
    check_subjects(train.select(train.subject == 1), test)


# --- npz ------------------------------------------------------------------------------------------------------------


def converted(**changes: Any) -> dict[str, NDArray]:
    """A file's arrays: two cameras, six moments each."""
    cameras = {"54138969": ([1145.0, 1143.0], [512.0, 515.0]), "60457274": ([1149.0, 1147.0], [519.0, 501.0])}
    names, joints, pixels = [], [], []
    for camera, (focal, principal) in cameras.items():
        for number in range(6):
            take = f"S9_Walking_1.{camera}"
            names.append(f"S9/{take}/{take}_{number + 1:06d}.jpg")
            joints.append(world(len(names)))
            pixels.append(project(joints[-1], focal, principal))
    ones = np.ones((len(names), 17, 1))
    low, high = np.min(pixels, axis=1), np.max(pixels, axis=1)
    return {
        "imgname": np.array(names),
        "center": (low + high) / 2,
        "scale": (high - low).max(axis=1) * 1.2 / 200,
        "part": np.concatenate([pixels, ones], axis=2),
        "S": np.concatenate([np.array(joints) / 1000, ones], axis=2),
    } | changes


def test_the_converted_file_gives_the_same_joints_and_finds_its_cameras(tmp_path: Path) -> None:
    np.savez(tmp_path / "h36m.npz", **converted())
    table = persons_from_h36m_npz(tmp_path / "h36m.npz", "images")
    np.testing.assert_allclose(table.joints_mm()[:, :17], [world(n) for n in range(1, 13)], atol=1e-2)
    np.testing.assert_allclose(table.focal[[0, 11]], [[1145, 1143], [1149, 1147]], rtol=1e-5)
    assert set(table.action) == {"Walking"} and set(table.subject) == {9}
    center = table.bbox_xywh[:, :2] + table.bbox_xywh[:, 2:] / 2
    np.testing.assert_allclose(center, converted()["center"], atol=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imgname": np.array(["a.jpg"] * 12)}, "imgname: expected names like S1/S1_Directions_1"),
        ({"S": np.ones((12, 17, 3))}, r"S: expected finite numbers of shape \(12, 17, 4\), got \(12, 17, 3\)"),
        ({"part": np.zeros((12, 17, 3))}, "12 of 12 persons are .*; check that cameras and labels"),
    ],
)
def test_a_converted_file_that_cannot_be_right_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    arrays = converted(**changes)
    if not arrays["part"].any():
        arrays["part"] = np.random.default_rng(0).uniform(0, 1000, size=(12, 17, 3))
    np.savez(tmp_path / "h36m.npz", **arrays)
    with pytest.raises(InputError, match=message):
        persons_from_h36m_npz(tmp_path / "h36m.npz", "images")


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "h36m.npz").write_text("no")
    with pytest.raises(InputError, match=r"not an \.npz file of plain arrays"):
        persons_from_h36m_npz(tmp_path / "h36m.npz", "images")


def test_world_and_camera_agree_through_the_file(write_h36m: Callable[..., Path]) -> None:
    angle = 0.3
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    table = persons_from_h36m(
        write_h36m({"R": turn.tolist(), "t": [10, 20, -30], "bbox": [0, 0, 1000, 1000]}), "images"
    )
    expected = world_to_camera(world(0), turn, np.array([10, 20, -30]))
    np.testing.assert_allclose(table.joints_mm()[0, :17], expected, atol=1e-2)
