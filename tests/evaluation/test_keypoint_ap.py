"""The project's own evaluator against pycocotools: real files, random sets, and what is hard.

RLEPOSE_RANDOM_SETS=1000 compares that many random sets.
"""

import contextlib
import dataclasses
import io
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.evaluation.coco_table import _annotations, pycocotools_ap
from rlepose.evaluation.keypoint_ap import keypoint_ap, similar_pairs
from rlepose.evaluation.results import CocoResults, coco_results, write_results
from rlepose.evaluation.truth import CocoTruth, truth_of
from rlepose.pose.geometry import Floats

RANDOM_SETS = int(os.environ.get("RLEPOSE_RANDOM_SETS", "25"))
EDGES = (32.0, 96.0)  # px, whose squares part medium and large persons


def assert_equal(truth: CocoTruth, results: CocoResults, oks_sigmas: Floats) -> Floats:
    """Both evaluators' figures are one; -> the figures."""
    figures = keypoint_ap(truth, results, oks_sigmas)
    np.testing.assert_allclose(figures, pycocotools_ap(truth, results, oks_sigmas), rtol=0, atol=1e-12)
    return figures


def near(truth: CocoTruth, rng: np.random.Generator, copies: int, error: float, score_steps: int = 100) -> CocoResults:
    """Poses around each person, up to `error` sizes off, with scores of which many are equal."""
    person = np.repeat(np.arange(len(truth)), copies)
    spread = np.sqrt(truth.area[person]) * rng.uniform(0, error, len(person))
    keypoints = truth.keypoints[person] + spread[:, None, None] * rng.normal(size=truth.keypoints[person].shape)
    return results_of(truth, person, keypoints, rng.integers(0, score_steps, len(person)) / score_steps)


def results_of(truth: CocoTruth, person: NDArray[np.integer], keypoints: Floats, scores: Floats) -> CocoResults:
    image_ids = truth.image_ids[truth.image_index[person]]
    return coco_results(keypoints, np.ones(keypoints.shape[:2]), scores, image_ids, category_id=1)


# --- random sets ----------------------------------------------------------------------------------------------------


def random_truth(rng: np.random.Generator) -> CocoTruth:
    """A few pictures with persons on a coarse grid, so that numbers meet: twins, crowds, no labels, sizes at edges."""
    pictures, joints = rng.integers(1, 9), rng.choice([1, 2, 5, 8, 9, 17, 19])
    persons = rng.choice([0, 1, 6, 30]) if rng.random() < 0.3 else rng.integers(1, 5 * pictures)
    size = rng.choice([0.5, 20, *EDGES, 60, 150, 2e5], persons, p=[0.02, 0.1, 0.2, 0.2, 0.23, 0.23, 0.02])
    # Some are exactly as large as an edge, others a little more or less.
    area = np.square(size) * rng.choice([1, 1 - 1e-9, 1 + 1e-9, 0.7], persons)
    corner = rng.integers(0, 5, (persons, 1, 2)) * 40.0
    keypoints = corner + rng.integers(0, 9, (persons, joints, 2)) / 8 * size[:, None, None]
    keypoints[:, :1], keypoints[:, -1:] = corner, corner + size[:, None, None]  # the extent is the size
    labelled = rng.random((persons, joints)) < rng.choice([0.1, 0.6, 1.0])
    labelled[rng.random(persons) < 0.15] = False
    truth = CocoTruth(
        image_ids=np.sort(rng.choice(1000, pictures, replace=False)),
        image_index=np.sort(rng.integers(0, rng.integers(1, pictures + 1), persons)),
        keypoints=keypoints,
        labelled=labelled,
        bbox_xywh=np.concatenate([corner[:, 0], np.stack([size, size], axis=1)], axis=1),
        area=area,
        crowd=rng.random(persons) < rng.choice([0, 0.2, 1.0], p=[0.4, 0.5, 0.1]),
    )
    twins = np.flatnonzero(rng.random(persons) < 0.3)
    for twin in twins[twins > 0]:
        for values in (truth.keypoints, truth.labelled, truth.area):
            values[twin] = values[twin - 1]
    return truth


def random_results(truth: CocoTruth, rng: np.random.Generator) -> CocoResults:
    """Poses on the grid, on persons and on nobody, doubled, with equal scores; sometimes none, sometimes many."""
    count = rng.choice([0, 1, 20, 21, 150]) if rng.random() < 0.4 else rng.integers(1, 60)
    joints = truth.keypoints.shape[1]
    image_index = rng.integers(0, len(truth.image_ids), count)
    keypoints = rng.integers(0, 30, (count, joints, 2)) * 10.0
    if len(truth):
        person = rng.integers(0, len(truth), count)
        error = rng.choice([0, 0.01, 0.05, 0.15], count) * np.sqrt(truth.area[person])
        on_somebody = rng.random(count) < 0.8
        moved = truth.keypoints[person] + error[:, None, None] * rng.normal(size=(count, joints, 2)).round(1)
        keypoints[on_somebody] = moved[on_somebody]
        image_index[on_somebody] = truth.image_index[person][on_somebody]
    doubled = np.concatenate([np.arange(count), rng.integers(0, max(count, 1), count // 4)])
    scores = rng.integers(0, rng.choice([1, 3, 1000]), len(doubled)) / 8 - 1
    images = truth.image_ids[image_index[doubled]]
    return coco_results(keypoints[doubled], np.ones((len(doubled), joints)), scores, images, category_id=1)


def random_set(seed: int) -> tuple[CocoTruth, CocoResults, Floats]:
    rng = np.random.default_rng(seed)
    truth = random_truth(rng)
    return truth, random_results(truth, rng), rng.uniform(0.02, 0.12, truth.keypoints.shape[1])


@pytest.mark.parametrize("seed", range(RANDOM_SETS))
def test_figures_on_random_sets_are_pycocotools(seed: int) -> None:
    assert_equal(*random_set(seed))


def most_in_a_picture(results: CocoResults) -> int:
    return np.unique(results.image_ids, return_counts=True)[1].max(initial=0)


def test_random_sets_hold_what_is_hard() -> None:
    sets = [random_set(seed)[:2] for seed in range(25)]
    seen = {
        "crowds": any(truth.crowd.any() for truth, _ in sets),
        "all crowds": any(len(truth) and truth.crowd.all() for truth, _ in sets),
        "no labels": any((~truth.labelled.any(axis=1) & ~truth.crowd).any() for truth, _ in sets),
        "no persons": any(not len(truth) for truth, _ in sets),
        "no poses": any(not len(results) for _, results in sets),
        "empty pictures": any(len(set(truth.image_index)) < len(truth.image_ids) for truth, _ in sets),
        "equal scores": any(len(set(results.scores)) < len(results) for _, results in sets),
        "more than 20 poses": any(most_in_a_picture(results) > 20 for _, results in sets),
        "area at an edge": all(any((truth.area == edge**2).any() for truth, _ in sets) for edge in EDGES),
        "extent at an edge": all(
            any((np.ptp(results.joints[..., :2], axis=1).prod(axis=1) == edge**2).any() for _, results in sets)
            for edge in EDGES
        ),
        "different figures": len({keypoint_ap(*random_set(seed))[0] for seed in range(25)}) > 10,
    }
    assert [name for name, there in seen.items() if not there] == []


# --- what is hard, one by one ---------------------------------------------------------------------------------------


def persons_in_a_picture(count: int, joints: int = 17, size: float = 100.0) -> CocoTruth:
    rng = np.random.default_rng(0)
    corner = np.arange(count)[:, None] * np.array([size, 0])
    return CocoTruth(
        image_ids=np.array([3, 7]),
        image_index=np.zeros(count, np.int64),
        keypoints=corner[:, None] + rng.uniform(0, size, (count, joints, 2)),
        labelled=np.ones((count, joints), np.bool_),
        bbox_xywh=np.concatenate([corner, np.full((count, 2), size)], axis=1),
        area=np.full(count, size**2),
        crowd=np.zeros(count, np.bool_),
    )


SIGMAS = np.full(17, 0.07)
EVERYBODY = persons_in_a_picture(6)


@pytest.mark.parametrize("poses", [0, 1, 20, 21])
def test_only_the_20_best_poses_of_a_picture_count(poses: int) -> None:
    truth = persons_in_a_picture(25)
    figures = assert_equal(truth, near(truth, np.random.default_rng(0), 1, 0.0).select(np.arange(poses)), SIGMAS)
    assert figures[5] == pytest.approx(min(poses, 20) / 25)


def test_a_picture_of_500_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlepose.evaluation.oks.BLOCK", 999)  # several, the last one shorter
    truth = persons_in_a_picture(500, size=40.0)
    assert_equal(truth, near(truth, np.random.default_rng(0), 2, 0.3), SIGMAS)


def first_on_nobody(results: CocoResults, *scores: float) -> CocoResults:
    """The results with the first pose moved away from everybody."""
    moved = results.joints.copy()
    moved[0] += 9000
    return dataclasses.replace(results, joints=moved, scores=np.array(scores))


def test_a_second_pose_on_the_same_person_is_false() -> None:
    truth = persons_in_a_picture(1)
    one = near(truth, np.random.default_rng(0), 1, 0.0)
    twice = one.select(np.array([0, 0]))
    assert assert_equal(truth, one, SIGMAS)[0] == assert_equal(truth, twice, SIGMAS)[0] == pytest.approx(1)
    assert assert_equal(truth, first_on_nobody(twice, 0.9, 0.1), SIGMAS)[0] == pytest.approx(0.5)


@pytest.mark.parametrize(("side", "medium", "large"), [(7.0, 1, 1), (EDGES[0], 0.5, 1), (EDGES[1], 0.5, 0.5)])
def test_a_pose_on_nobody_is_false_among_persons_of_its_own_area(side: float, medium: float, large: float) -> None:
    truth = dataclasses.replace(persons_in_a_picture(2), area=np.array([50.0**2, 100.0**2]))
    right = near(truth, np.random.default_rng(0), 1, 0.0)
    results = first_on_nobody(right.select(np.array([0, 0, 1])), 0.9, 0.8, 0.8)
    figures = assert_equal(truth, dataclasses.replace(results, area=np.full(3, side**2)), SIGMAS)
    assert figures[3:5] == pytest.approx([medium, large])


def test_of_persons_equally_similar_the_last_is_taken() -> None:
    """So the second pose finds the first person free, or, with the persons exchanged, nobody."""
    truth = dataclasses.replace(persons_in_a_picture(2, joints=1), keypoints=np.array([[[0.0, 0]], [[20.0, 0]]]))
    results = results_of(truth, np.zeros(2, int), np.array([[[10.0, 0]], [[-10.0, 0]]]), np.array([0.9, 0.8]))
    sigma = np.full(1, 0.1)
    exchanged = dataclasses.replace(truth, keypoints=truth.keypoints[::-1])
    assert assert_equal(truth, results, sigma)[6] == pytest.approx(1)
    assert assert_equal(exchanged, results, sigma)[6] == pytest.approx(0.5)


def test_similarities_are_pycocotools() -> None:
    truth = persons_in_a_picture(20)
    truth.labelled[:] = np.arange(17) < np.arange(20)[:, None] - 2  # 0 to 17 labels
    results = near(truth, np.random.default_rng(0), 1, 0.1)
    evaluation = COCOeval(iouType="keypoints")
    evaluation._gts = {(3, 1): _annotations(truth, category_id=1)}
    evaluation._dts = {(3, 1): results.entries()}
    evaluation.params.kpt_oks_sigmas = SIGMAS
    by_score = results.select(np.argsort(-results.scores, kind="stable"))
    pairs = similar_pairs(truth, by_score.joints[..., :2], np.zeros(20, int), SIGMAS)
    expected = evaluation.computeOks(3, 1)
    expected[expected < 0.5] = 0
    mine = np.zeros((20, 20))
    mine[pairs.pose, pairs.person] = pairs.oks
    assert (mine > 0).sum() > 20
    np.testing.assert_allclose(mine, expected, rtol=1e-13)


def test_of_equal_scores_the_first_in_the_results_counts_first() -> None:
    truth = persons_in_a_picture(1)
    results = first_on_nobody(near(truth, np.random.default_rng(0), 2, 0.0), 0.5, 0.5)
    first = assert_equal(truth, results, SIGMAS)
    last = assert_equal(truth, results.select(np.array([1, 0])), SIGMAS)
    assert first[0] == pytest.approx(0.5) and last[0] == pytest.approx(1)


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_poses_of_one_score_each_as_often(copies: int) -> None:
    """No score says which of the doubles is the right one; all but one a person are false."""
    results = near(EVERYBODY, np.random.default_rng(0), copies, 0.0, score_steps=1)
    assert set(results.scores) == {0.0}
    figures = assert_equal(EVERYBODY, results, SIGMAS)
    assert figures[5] == pytest.approx(min(1, 20 // copies / 6))  # of the poses that count, 20 a picture


def test_poses_on_a_crowd_cost_nothing() -> None:
    truth = dataclasses.replace(EVERYBODY, crowd=np.arange(6) == 2)
    results = near(truth, np.random.default_rng(0), 1, 0.0).select([0, 1, 2, 2, 2, 3, 4, 5])
    assert assert_equal(truth, results, SIGMAS)[0] == pytest.approx(1)


def test_nothing_but_crowds_is_not_measured() -> None:
    truth = dataclasses.replace(EVERYBODY, crowd=np.ones(6, np.bool_))
    assert np.isnan(assert_equal(truth, near(truth, np.random.default_rng(0), 2, 0.1), SIGMAS)).all()


def test_persons_without_labels_take_the_poses_around_their_box() -> None:
    truth = dataclasses.replace(EVERYBODY, labelled=EVERYBODY.labelled & (np.arange(6) != 2)[:, None])
    results = near(EVERYBODY, np.random.default_rng(0), 1, 0.0)
    assert assert_equal(truth, results, SIGMAS)[0] == pytest.approx(1)


# --- real files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file", ["coco_mini/annotations/person_keypoints_val2017.json", "lspet/annotations/lspet_val.json"]
)
def test_figures_of_real_files_are_pycocotools_own_reading(real_data: Path, tmp_path: Path, file: str) -> None:
    coco = CocoFile(real_data / file)
    truth, oks_sigmas = truth_of(coco), np.array(coco.skeleton().oks_sigmas)
    results = near(truth, np.random.default_rng(0), copies=3, error=0.15)
    write_results(tmp_path / "results.json", results)
    with contextlib.redirect_stdout(io.StringIO()):
        labels = COCO(str(coco.path))
        evaluation = COCOeval(labels, labels.loadRes(str(tmp_path / "results.json")), "keypoints")
        evaluation.params.kpt_oks_sigmas = oks_sigmas
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = assert_equal(truth, results, oks_sigmas)
    assert 0.1 < figures[0] < 0.9
    np.testing.assert_allclose(figures, evaluation.stats, rtol=0, atol=1e-12)
