"""One head for categories of different joints: what each is judged by."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rlepose.config.config import Config
from rlepose.datasets.category_groups import own_joints
from rlepose.errors import InputError
from rlepose.evaluation.nme import PersonErrors
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import COCO as PERSON
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation
from tests.predicting import poses_of
from tests.training.running import ALONE

ARMS = [5, 6, 7, 8, 9, 10]


@pytest.fixture
def kinds_config(tiny_config: Callable[..., Config], synthetic: Path, tmp_path: Path) -> Callable[..., Config]:
    """kinds_config(category='all') -> a config of the synthetic pictures where every second person is an ape: it has
    the person's arms, and a tail, which is where the person's left hip was. Neither has the other's joints else."""
    tree = json.loads((synthetic / "annotations" / "person_keypoints_val.json").read_text())
    ape = {"id": 2, "name": "ape", "keypoints": [*(PERSON.names[joint] for joint in ARMS), "tail"], "skeleton": []}
    for annotation in tree["annotations"][::2]:
        joints = np.array(annotation["keypoints"]).reshape(-1, 3)[[*ARMS, 11]]
        annotation |= {"keypoints": joints.ravel().tolist(), "category_id": 2}
    tree["categories"].append(ape)
    (tmp_path / "groups.json").write_text(json.dumps(tree))

    def make(category: str, *overrides: str) -> Config:
        data = [f"data.val_annotations={tmp_path / 'groups.json'}", "data.num_keypoints=null"]
        return tiny_config(*data, f"data.category={category}", *overrides)

    return make


def own_joints_of(validation: Validation) -> NDArray[np.bool_]:
    """(N, K) which joints the persons of a validation have."""
    return own_joints(validation.evaluator.groups, validation.table.category_ids)


def near_the_labels(validation: Validation) -> Poses:
    """The labels, moved; joints of the other group anywhere, and scored as if they were sure."""
    table, own, rng = validation.table, own_joints_of(validation), np.random.default_rng(0)
    shape = table.visible.shape
    error = rng.normal(0, 3, (table.person_ids.max() + 1, 18, 2))[table.person_ids, : shape[1]]
    scores = rng.uniform(0.2, 0.9, (table.person_ids.max() + 1, 18))[table.person_ids, : shape[1]]
    strange = rng.uniform(0, 300, (*shape, 2))
    keypoints = np.where(own[..., None], table.keypoints + error, strange)
    scores = np.where(own, scores, rng.uniform(0, 1, shape))
    return poses_of(table, keypoints, scores, labelled=validation.source.labelled)


def only(poses: Poses, alone: Validation, joints: tuple[int, ...]) -> Poses:
    rows = np.flatnonzero(np.isin(poses.person_ids, alone.table.person_ids))
    return poses_of(alone.table, poses.keypoints[rows][:, joints], poses.joint_scores[rows][:, joints])


def nme_of(validation: Validation, poses: Poses) -> PersonErrors:
    return validation.evaluator.nme.evaluate(poses, validation.evaluator.rows(poses))


@pytest.mark.parametrize("backend", ["numpy", "pycocotools"])
def test_each_kind_is_judged_as_if_it_were_alone(kinds_config: Callable[..., Config], backend: str) -> None:
    validation = build_validation(kinds_config("all", f"eval.backend={backend}"), "gt", ALONE)
    poses = near_the_labels(validation)
    metrics, results = validation.evaluator.evaluate(poses)
    table = validation.evaluator.format_table(metrics).splitlines()
    assert [line.rsplit(maxsplit=len(table[0].split()) - 1)[0] for line in table[1:]] == ["gt person", "gt ape", "gt"]
    each = []
    for group, found in zip(validation.evaluator.groups, results, strict=True):
        alone = build_validation(kinds_config(group.name), "gt", ALONE)
        expected, (expected_found,) = alone.evaluator.evaluate(only(poses, alone, group.joints))
        each.append(expected["gt/AP"])
        assert {name: metrics[f"gt {group.name}/{name}"] for name in ("AP", "APM", "APL", "AR")} == pytest.approx(
            {name: expected[f"gt/{name}"] for name in ("AP", "APM", "APL", "AR")}, nan_ok=True
        )
        assert found.category_id == group.category_ids[0]
        np.testing.assert_array_equal(found.joints, expected_found.joints)
    assert metrics["gt/AP"] == pytest.approx(np.mean(each)) and 0 < each[0] != each[1] < 1


def test_the_mean_over_kinds_is_cocos_over_categories(kinds_config: Callable[..., Config], tmp_path: Path) -> None:
    """Of as many joints each and with equal constants, which is all that pycocotools can evaluate."""
    path = Path(kinds_config("all").data.val_annotations)
    tree = json.loads(path.read_text())
    for annotation in tree["annotations"]:
        annotation["keypoints"] = annotation["keypoints"][:21]
    tree["categories"][0] |= {"keypoints": [f"part{joint}" for joint in range(7)], "skeleton": []}
    path.write_text(json.dumps(tree))
    validation = build_validation(kinds_config("all", f"data.oks_sigmas={[0.05] * 14}"), "gt", ALONE)
    metrics, results = validation.evaluator.evaluate(near_the_labels(validation))
    validation.evaluator.write(tmp_path, results)
    truth = COCO(path)
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "keypoints_gt.json")), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.full(7, 0.05)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert [metrics["gt/AP"], metrics["gt/AR"]] == pytest.approx([evaluation.stats[0], evaluation.stats[5]], abs=1e-12)


def test_confidence_and_pictures_are_of_own_joints(kinds_config: Callable[..., Config]) -> None:
    validation = build_validation(kinds_config("all"), "gt", ALONE)
    poses = near_the_labels(validation)
    own = own_joints_of(validation)
    changed = dataclasses.replace(
        poses,
        keypoints=np.where(own[..., None], poses.keypoints, 0),
        joint_scores=np.where(own, poses.joint_scores, 0),
    )
    np.testing.assert_array_equal(validation.evaluator.confidence(poses), validation.evaluator.confidence(changed))
    drawn = [validation.evaluator.draw(0, those, None, "") for those in (poses, changed)]
    np.testing.assert_array_equal(*drawn)


def test_nme_is_of_all_kinds_together_relative_to_a_length_that_all_have(
    kinds_config: Callable[..., Config],
) -> None:
    arms = "eval.nme_reference=[left_shoulder, right_shoulder]"
    validation = build_validation(kinds_config("all", arms), "gt", ALONE)
    poses = near_the_labels(validation)
    errors = nme_of(validation, poses).errors
    for group in validation.evaluator.groups:
        alone = build_validation(kinds_config(group.name, arms), "gt", ALONE)
        rows = np.isin(validation.table.person_ids, alone.table.person_ids)
        moved = poses.keypoints[rows][:, group.joints]
        expected = nme_of(alone, dataclasses.replace(near_the_labels(alone), keypoints=moved)).errors
        np.testing.assert_allclose(errors[rows], expected, rtol=1e-6)
    with pytest.raises(InputError, match="left_hip is no joint of category ape"):
        build_validation(kinds_config("all", "eval.nme_reference=[left_shoulder, left_hip]"), "gt", ALONE)
