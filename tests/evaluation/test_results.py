"""COCO's results format: what the file holds, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from rlepose.errors import InputError
from rlepose.evaluation.results import coco_results, pose_scores, write_json, write_results


def test_results_are_json_in_cocos_format(tmp_path: Path) -> None:
    keypoints, scores = np.float32([[[1.5, 2], [3, 4.123456]]]), np.float32([[0.25, 0.5]])
    results = coco_results(keypoints, scores, np.float32([0.75]), np.array([7]), category_id=1)
    write_results(tmp_path / "new" / "results.json", results)
    assert json.loads((tmp_path / "new" / "results.json").read_text()) == [
        {"image_id": 7, "category_id": 1, "keypoints": [1.5, 2, 0.25, 3, 4.1235, 0.5], "score": 0.75}
    ]


def test_no_poses_are_an_empty_list(tmp_path: Path) -> None:
    none = np.zeros(0)
    results = coco_results(np.zeros((0, 3, 2)), np.zeros((0, 3)), none, none.astype(int), category_id=1)
    write_results(tmp_path / "results.json", results)
    assert (tmp_path / "results.json").read_text() == "[]"


def test_numbers_in_the_file_are_those_in_the_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    keypoints, scores = rng.normal(0, 10.0 ** rng.integers(-6, 6, (50, 17, 2))), rng.uniform(0, 1, 50) / 3
    image_ids = rng.integers(0, 2**62, 50)
    results = coco_results(keypoints, rng.uniform(0, 1, (50, 17)), scores, image_ids, category_id=5)
    write_results(tmp_path / "results.json", results)
    read = json.loads((tmp_path / "results.json").read_text())
    assert [entry["image_id"] for entry in read] == image_ids.tolist()
    assert [entry["score"] for entry in read] == scores.tolist()
    assert [entry["keypoints"] for entry in read] == results.joints.reshape(50, 51).tolist()
    assert {entry["category_id"] for entry in read} == {5}
    np.testing.assert_allclose(results.joints[..., :2], keypoints, rtol=0, atol=0.5001e-4)


@pytest.mark.parametrize("place", ["keypoints", "joint_scores", "scores"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pose_of_nan_or_infinity_is_refused(place: str, value: float) -> None:
    arrays = {"keypoints": np.zeros((2, 3, 2)), "joint_scores": np.zeros((2, 3)), "scores": np.zeros(2)}
    arrays[place].flat[1] = value
    with pytest.raises(InputError, match="predicts NaN or infinity"):
        coco_results(**arrays, image_ids=np.array([1, 2]), category_id=1)


def test_some_poses_can_be_selected() -> None:
    keypoints = np.arange(18.0).reshape(3, 3, 2)
    results = coco_results(keypoints, np.zeros((3, 3)), np.array([0.1, 0.2, 0.3]), np.array([7, 8, 9]), category_id=1)
    some = results.select(np.array([2, 0]))
    assert len(some) == 2 and some.image_ids.tolist() == [9, 7] and some.scores.tolist() == [0.3, 0.1]
    np.testing.assert_array_equal(some.joints[..., :2], keypoints[[2, 0]])


def test_a_poses_area_is_that_of_the_joints_asked_for_whatever_joints_are_taken_of_it() -> None:
    keypoints = np.array([[[0, 0], [2.00001, 3], [10, 10]], [[5, 5], [9, 4], [5, 5]]], float)
    arrays = (keypoints, np.ones((2, 3)), np.array([0.5, 0.6]), np.array([7, 8]), 1)
    assert coco_results(*arrays).area.tolist() == [100, 4]
    results = coco_results(*arrays, area_joints=range(2))
    assert results.area.tolist() == [6, 4]
    assert results.with_joints([2]).area.tolist() == [6, 4]
    assert results.select(np.array([1])).area.tolist() == [4]


def test_what_json_does_not_have_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "results.json", [float("nan")])


def test_a_pose_scores_the_mean_and_the_best_of_its_joints() -> None:
    joint_scores = np.array([[0.2, 0.4, 0.6], [1, 1, 1]])
    np.testing.assert_allclose(pose_scores(joint_scores, None), [0.4 + 0.6, 2])


def test_a_detected_pose_scores_its_boxs_score_on_top() -> None:
    joint_scores, box_score = np.array([[0.2, 0.4, 0.6], [1, 1, 1]]), np.array([0.5, 0.1])
    np.testing.assert_allclose(pose_scores(joint_scores, box_score), [1.5, 2.1])


def test_a_file_that_cannot_be_written_whole_leaves_the_one_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / "results.json", Path.write_bytes
    write_json(path, [1])

    def write_half(path: Path, content: bytes) -> None:
        write(path, content[: len(content) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, [1, 2, 3])
    assert json.loads(path.read_text()) == [1]
