"""NME of a validation: on real pictures against a plain calculation, who is left out, and what is refused."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.config.reading import with_overrides
from rlepose.errors import InputError
from rlepose.jobs.validate import validate_checkpoint
from rlepose.losses import build_criterion
from rlepose.models.pose_model import build_model
from rlepose.pose.pose_arrays import Poses
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.validation.nme_evaluator import NME_FILE, read_nme, write_nme
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation
from tests.predicting import as_trained
from tests.training.running import ALONE, trainer_of
from tests.validation.test_category_groups import near_the_labels, nme_of
from tests.validation.test_coco_evaluator import detections

FACES = 40
EYES = "[right_eyelid_1, left_eyelid_1]"  # the outer corners, 37 and 46 of 68 counted from 1
RIGHT_EYE, LEFT_EYE = 36, 45


@pytest.fixture
def faces(real_data: Path, tmp_path: Path) -> dict[str, Any]:
    """Real faces as their file has them: one without the right eye's corner, two whose corners lie at one place."""
    tree = json.loads((real_data / "faces" / "annotations" / "faces_val.json").read_text())
    tree["annotations"] = tree["annotations"][:FACES]
    pictures = {annotation["image_id"] for annotation in tree["annotations"]}
    tree["images"] = [image for image in tree["images"] if image["id"] in pictures]
    for number, annotation in enumerate(tree["annotations"]):
        joints = np.array(annotation["keypoints"]).reshape(-1, 3)
        joints[number % 30] = 0  # somebody's labels are never complete
        if number == 3:
            joints[RIGHT_EYE] = 0
        if number in (5, 6):
            joints[LEFT_EYE] = joints[RIGHT_EYE]
        annotation["keypoints"] = joints.ravel().tolist()
    (tmp_path / "faces.json").write_text(json.dumps(tree))
    return tree


@pytest.fixture
def faces_config(
    tiny_config: Callable[..., Config], real_data: Path, tmp_path: Path, faces: dict[str, Any]
) -> Callable[..., Config]:
    def make(*overrides: str) -> Config:
        data = [f"data.root={real_data / 'faces'}", f"data.val_annotations={tmp_path / 'faces.json'}"]
        return tiny_config(*data, "data.val_images=images/val", "data.num_keypoints=null", *overrides)

    return make


def predicted(config: Config) -> tuple[Validation, Poses]:
    """By a network of random weights, near enough to the middle of the crops for errors of all sizes."""
    validation = build_validation(config, "gt", ALONE)
    torch.manual_seed(0)
    joints = len(validation.evaluator.skeleton)
    network = build_model(config.model, joints, predict_sigma=True, pretrained=False)
    poses = validation.source.predict(as_trained(network, build_criterion(config.loss, joints), validation))
    towards = validation.table.keypoints + 0.1 * (poses.keypoints - validation.table.keypoints)
    return validation, dataclasses.replace(poses, keypoints=towards)


def plain(faces: dict[str, Any], poses: list[dict[str, Any]], reference: str) -> list[float]:
    """Each person's NME from the annotation file and the written poses, by loops."""
    pose_of = {pose["image_id"]: np.reshape(pose["keypoints"], (-1, 3)) for pose in poses}
    errors = []
    for annotation in faces["annotations"]:
        joints, found = np.reshape(annotation["keypoints"], (-1, 3)), pose_of[annotation["image_id"]]
        _, _, width, height = annotation["bbox"]
        if reference == "box":
            length = (width**2 + height**2) ** 0.5
        elif reference == "area":
            length = annotation["area"] ** 0.5
        else:
            right, left = joints[RIGHT_EYE], joints[LEFT_EYE]
            if not (right[2] and left[2]) or (right == left).all():
                continue
            length = ((right[0] - left[0]) ** 2 + (right[1] - left[1]) ** 2) ** 0.5
        total = count = 0
        for (x, y, labelled), (u, v, _) in zip(joints, found, strict=True):
            if labelled:
                total, count = total + ((x - u) ** 2 + (y - v) ** 2) ** 0.5, count + 1
        errors.append(total / count / length)
    return errors


@pytest.mark.parametrize("reference", [EYES, "box", "area"])
def test_it_is_what_a_plain_calculation_on_the_written_poses_gives(
    faces_config: Callable[..., Config], faces: dict[str, Any], tmp_path: Path, reference: str
) -> None:
    validation, poses = predicted(faces_config(f"eval.nme_reference={reference}"))
    metrics, results = validation.evaluator.evaluate(poses)
    validation.evaluator.write(tmp_path, results)
    expected = plain(faces, json.loads((tmp_path / "keypoints_gt.json").read_text()), reference)
    assert len(expected) == (FACES - 3 if reference == EYES else FACES)
    np.testing.assert_allclose(nme_of(validation, poses).measured, expected, atol=1e-5)
    assert metrics["gt/NME"] == pytest.approx(np.mean(expected), abs=1e-5) and 0.01 < metrics["gt/NME"] < 1
    for limit in (0.08, 0.1):
        area = np.mean([max(0, limit - error) for error in expected]) / limit
        assert metrics[f"gt/NME_AUC@{limit:g}"] == pytest.approx(area, abs=1e-4)
        assert metrics[f"gt/NME_failures@{limit:g}"] == pytest.approx(np.mean([error > limit for error in expected]))


def test_persons_without_a_length_are_left_out_told_and_counted(
    faces_config: Callable[..., Config], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("INFO")
    validation, poses = predicted(faces_config(f"eval.nme_reference={EYES}"))
    metrics, _ = validation.evaluator.evaluate(poses)
    assert metrics["gt/NME_left_out"] == 3
    reported = "skipped persons: 1 × reference without label, 2 × reference of length 0"
    assert [reported in message for message in caplog.messages].count(True) == 1
    assert validation.evaluator.format_table(metrics).splitlines()[-1].split()[-1] == "3"

    judged = nme_of(validation, poses)
    write_nme(tmp_path, judged)
    persons = json.loads((tmp_path / NME_FILE).read_text())["persons"]
    nobody = {person["id"]: person["left_out"] for person in persons if person["NME"] is None}
    ids = validation.table.person_ids[[3, 5, 6]].tolist()
    assert nobody == dict(zip(ids, ["reference without label"] + ["reference of length 0"] * 2, strict=True))
    again = read_nme(tmp_path)
    assert again.metrics() == judged.metrics() and again.reasons() == judged.reasons()


def test_a_person_whose_picture_is_skipped_is_not_judged(tiny_config: Callable[..., Config]) -> None:
    validation = build_validation(tiny_config("eval.nme_reference=box"), "gt", ALONE)
    poses = near_the_labels(validation)
    valid = np.arange(len(validation.table)) != 2
    judged = nme_of(validation, dataclasses.replace(poses, valid=valid))
    assert judged.person_ids.tolist() == validation.table.person_ids[valid].tolist()
    np.testing.assert_array_equal(judged.errors, nme_of(validation, poses).errors[valid])


def test_validating_a_checkpoint_writes_each_persons_error_and_the_curve(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    path = checkpoint("eval.nme_reference=[left_eye, right_eye]")
    saved = load_checkpoint(path)
    metrics = validate_checkpoint(path, saved.config, saved, ["gt"], tmp_path / "out", ALONE)
    assert (tmp_path / "out" / "nme_curve.png").stat().st_size > 1000
    judged = read_nme(tmp_path / "out")
    assert judged.reference == "the distance between left_eye and right_eye"
    assert {f"gt/{name}": value for name, value in judged.metrics().items()}.items() <= metrics.items()

    without = with_overrides(saved.config, ["eval.nme_reference=null"])
    metrics = validate_checkpoint(path, without, saved, ["gt"], tmp_path / "without", ALONE)
    assert not any("NME" in name for name in metrics) and not (tmp_path / "without" / NME_FILE).exists()


def test_detected_boxes_have_none(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny_config("eval.nme_reference=box")
    boxes = detections(build_validation(config, "gt", ALONE), tmp_path / "boxes.json")
    validation = build_validation(config, boxes, ALONE)
    metrics, _ = validation.evaluator.evaluate(near_the_labels(validation))
    assert not any("NME" in name for name in (*metrics, *validation.evaluator.selectable))


def test_an_unknown_joint_is_refused_before_the_first_step(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"eval\.nme_reference: there is no joint left_foot; .*left_"):
        trainer_of(tiny_config("eval.nme_reference=[left_eye, left_foot]"))


def test_a_reference_that_nobody_has_is_refused(faces_config: Callable[..., Config], tmp_path: Path) -> None:
    tree = json.loads((tmp_path / "faces.json").read_text())
    for annotation in tree["annotations"]:
        annotation["keypoints"][3 * LEFT_EYE : 3 * LEFT_EYE + 3] = [0, 0, 0]
    (tmp_path / "faces.json").write_text(json.dumps(tree))
    with pytest.raises(
        InputError, match=rf"eval\.nme_reference: no person has a reference length, .* all {FACES} persons"
    ):
        build_validation(faces_config(f"eval.nme_reference={EYES}"), "gt", ALONE)
