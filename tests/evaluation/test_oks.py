"""Object keypoint similarity against pycocotools, and the suppression of double poses against the authors'."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

from rlepose.evaluation.oks import oks_nms, oks_of_pairs, oks_with_label
from rlepose.pose.skeleton import COCO

SIGMAS = np.array(COCO.oks_sigmas)


def poses(count: int, spread: float = 8.0, seed: int = 0) -> NDArray[np.floating]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 200, (1, 17, 2)) + rng.normal(0, spread, (count, 17, 2))


def suppressed(
    keypoints: NDArray, scores: list[float], image_ids: list[int] | None = None, threshold: float = 0.9
) -> list[int]:
    count = len(keypoints)
    areas, images = np.full(count, 10_000.0), np.array(image_ids or [1] * count, np.int64)
    return oks_nms(keypoints, np.array(scores), areas, images, SIGMAS, threshold).tolist()


def similarity_by_pycocotools(truth: NDArray, found: NDArray, area: float) -> NDArray[np.floating]:
    def annotation(number: int, pose: NDArray) -> dict[str, Any]:
        flat = np.concatenate([pose, np.full((17, 1), 2.0)], axis=1).reshape(-1).tolist()
        return {"id": number, "area": area, "bbox": [0, 0, 1, 1], "keypoints": flat, "score": -number}

    evaluation = COCOeval(iouType="keypoints")
    evaluation._gts = {(1, 1): [annotation(1, truth)]}
    evaluation._dts = {(1, 1): [annotation(number, pose) for number, pose in enumerate(found, 1)]}
    evaluation.params.maxDets = [len(found)]
    return evaluation.computeOks(1, 1)[:, 0]


# --- similarity -----------------------------------------------------------------------------------------------------


def test_similarity_is_pycocotools() -> None:
    truth, *found = poses(12)
    mine = oks_of_pairs(truth, 3000.0, np.array(found), np.full(11, 3000.0), SIGMAS)
    assert 0.1 < mine.mean() < 0.9
    np.testing.assert_allclose(mine, similarity_by_pycocotools(truth, np.array(found), 3000.0), rtol=1e-9)


def test_identical_poses_are_wholly_similar() -> None:
    pose = poses(1)
    np.testing.assert_allclose(oks_of_pairs(pose[0], 500.0, pose, np.array([500.0]), SIGMAS), [1.0])


def test_similarity_lies_between_0_and_1_and_falls_with_distance() -> None:
    pose = poses(1)[0]
    moved = pose + np.array([0, 1, 5, 20, 100, 1e4])[:, None, None]
    similarity = oks_of_pairs(pose, 2000.0, moved, np.full(6, 2000.0), SIGMAS)
    assert (np.diff(similarity) < 0).all() and similarity[0] == 1 and similarity[-1] == 0


def test_similarity_is_symmetric() -> None:
    first, second = poses(2)
    forth = oks_of_pairs(first, 900.0, second[None], np.array([4000.0]), SIGMAS)
    back = oks_of_pairs(second, 4000.0, first[None], np.array([900.0]), SIGMAS)
    np.testing.assert_allclose(forth, back)


def test_similarity_is_relative_to_the_mean_of_both_areas() -> None:
    first, second = poses(2)
    unequal = oks_of_pairs(first, 1000.0, second[None], np.array([9000.0]), SIGMAS)
    np.testing.assert_allclose(unequal, oks_of_pairs(first, 5000.0, second[None], np.array([5000.0]), SIGMAS))


def test_a_pose_without_area_gives_a_number() -> None:
    first, second = poses(2)
    assert oks_of_pairs(first, 0.0, second[None], np.zeros(1), SIGMAS).tolist() == [0.0]


# --- suppression ----------------------------------------------------------------------------------------------------


def test_the_kept_poses_are_the_authors(reference: Mapping[str, NDArray]) -> None:
    keypoints, score, area, image_id, kept = (
        reference[f"oks_nms/{key}"] for key in ("keypoints", "score", "area", "image_id", "kept")
    )
    assert len(kept) < len(score)
    mine = oks_nms(keypoints.reshape(-1, 17, 3)[..., :2], score, area, image_id, SIGMAS, 0.9)
    assert mine.tolist() == sorted(kept.tolist())


def kept_one_by_one(
    keypoints: NDArray, scores: NDArray, areas: NDArray, image_ids: NDArray, threshold: float
) -> list[int]:
    """The definition: the best pose stays, what resembles it goes, and so on."""
    kept = []
    for image in np.unique(image_ids):
        remaining = np.flatnonzero(image_ids == image)
        remaining = remaining[np.argsort(-scores[remaining], kind="stable")]
        while len(remaining):
            best, remaining = remaining[0], remaining[1:]
            kept.append(int(best))
            similarity = oks_of_pairs(keypoints[best], areas[best], keypoints[remaining], areas[remaining], SIGMAS)
            remaining = remaining[similarity <= threshold]
    return sorted(kept)


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.9])
def test_the_kept_poses_are_those_of_the_definition(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlepose.evaluation.oks.BLOCK", 7)
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([poses(40, spread, seed) for seed, spread in enumerate((2, 6, 12, 25))])
    image_ids, scores = rng.integers(0, 5, 160), rng.integers(0, 30, 160) / 10
    areas = rng.uniform(3_000, 20_000, 160)
    mine = oks_nms(keypoints, scores, areas, image_ids, SIGMAS, threshold)
    assert 10 < len(mine) < 160
    assert mine.tolist() == kept_one_by_one(keypoints, scores, areas, image_ids, threshold)


def test_of_two_equal_poses_the_higher_score_stays() -> None:
    assert suppressed(poses(1).repeat(3, axis=0), [0.2, 0.8, 0.5]) == [1]


def test_of_equal_scores_one_stays() -> None:
    assert suppressed(poses(1).repeat(3, axis=0), [0.5, 0.5, 0.5]) == [0]


def test_equal_poses_in_different_pictures_all_stay() -> None:
    assert suppressed(poses(1).repeat(4, axis=0), [0.1, 0.4, 0.3, 0.2], [7, 8, 7, 9]) == [1, 2, 3]


def test_distant_poses_all_stay() -> None:
    assert suppressed(poses(1) + np.array([0, 500, 1000])[:, None, None], [0.1, 0.2, 0.3]) == [0, 1, 2]


def test_a_suppressed_pose_suppresses_nothing() -> None:
    chain = poses(1) + np.array([0, 6, 12])[:, None, None]
    areas = np.full(3, 10_000.0)
    near, far = oks_of_pairs(chain[0], areas[0], chain[1:], areas[1:], SIGMAS)
    assert suppressed(chain, [0.9, 0.8, 0.7], threshold=(near + far) / 2) == [0, 2]


def test_at_threshold_1_nothing_is_suppressed() -> None:
    assert suppressed(poses(1).repeat(2, axis=0), [0.5, 0.6], threshold=1.0) == [0, 1]


def test_no_poses_are_none() -> None:
    assert suppressed(np.zeros((0, 17, 2)), []) == []


def test_similarity_with_the_label_is_pycocotools_over_labelled_joints() -> None:
    found, truth = poses(6), poses(1, seed=1)[0]
    visible = np.ones(17, np.uint8)
    visible[[2, 5, 6]] = 0
    area = 5_000.0

    def annotation(number: int, pose: NDArray, flags: NDArray) -> dict[str, Any]:
        flat = np.concatenate([pose, flags[:, None]], axis=1).reshape(-1).tolist()
        return {"id": number, "area": area, "bbox": [0, 0, 1, 1], "keypoints": flat, "score": -number}

    evaluation = COCOeval(iouType="keypoints")
    evaluation._gts = {(1, 1): [annotation(1, truth, visible)]}
    evaluation._dts = {(1, 1): [annotation(number, pose, np.ones(17)) for number, pose in enumerate(found)]}
    evaluation.params.kpt_oks_sigmas = SIGMAS
    ours = oks_with_label(found, np.stack([truth] * 6), np.stack([visible] * 6), np.full(6, area), SIGMAS)
    np.testing.assert_allclose(ours, evaluation.computeOks(1, 1)[:, 0])
