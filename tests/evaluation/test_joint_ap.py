import dataclasses

import numpy as np
import pytest

from rlepose.evaluation.joint_ap import joint_ap
from rlepose.evaluation.results import coco_results
from rlepose.evaluation.truth import CocoTruth
from rlepose.pose.skeleton import COCO

SIGMAS = np.array(COCO.oks_sigmas)


def persons(count: int = 30) -> CocoTruth:
    rng = np.random.default_rng(0)
    return CocoTruth(
        np.arange(count),
        np.arange(count),
        rng.uniform(0, 500, (count, 17, 2)),
        rng.uniform(size=(count, 17)) < 0.7,
        np.tile([0.0, 0, 500, 500], (count, 1)),
        np.full(count, 5000.0),
        np.zeros(count, bool),
    )


def test_a_wrong_joint_costs_its_own_ap_alone() -> None:
    truth = persons()
    keypoints = truth.keypoints.copy()
    keypoints[:, 3] += 1000
    scores = np.random.default_rng(1).uniform(size=(len(truth), 17))
    found = joint_ap(truth, coco_results(keypoints, scores, scores[:, 0], truth.image_ids, 1), SIGMAS)
    assert found[3] == 0
    assert np.delete(found, 3) == pytest.approx(np.ones(16))


def test_a_joint_is_ranked_by_its_own_score() -> None:
    truth = persons()
    truth = dataclasses.replace(truth, labelled=np.ones_like(truth.labelled))
    keypoints = truth.keypoints.copy()
    wrong = np.arange(len(truth)) < 15
    keypoints[wrong] += 1000
    scores = np.ones((len(truth), 17))
    scores[wrong, 0], scores[~wrong, 1] = 0, 0  # the first joint knows where it fails, the second believes the opposite
    found = joint_ap(truth, coco_results(keypoints, scores, scores[:, 2], truth.image_ids, 1), SIGMAS)
    assert found[0] > found[1]


def test_a_joint_without_labels_has_no_ap() -> None:
    truth = persons()
    truth.labelled[:, 5] = False
    scores = np.ones((len(truth), 17))
    found = joint_ap(truth, coco_results(truth.keypoints, scores, scores[:, 0], truth.image_ids, 1), SIGMAS)
    assert np.isnan(found[5]) and not np.isnan(np.delete(found, 5)).any()
