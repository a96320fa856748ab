import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.losses import build_criterion
from rlepose.losses.options import RLEConfig
from rlepose.pose.codec import PoseOutput
from rlepose.pose.pose_arrays import Poses
from rlepose.validation.coco_evaluator import CocoEvaluator
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation
from tests.predicting import as_trained, poses_of, reordered
from tests.training.running import ALONE
from tests.validation.test_category_groups import near_the_labels, nme_of

CRITERION = build_criterion(RLEConfig(), 17)


class Oracle(torch.nn.Module):
    """Answers with the truth: it recognises each crop by its bytes. Mirrored crops get the mirrored truth."""

    def __init__(self, validation: Validation, error: float = 0.0) -> None:
        super().__init__()
        dataset, table = validation.source.dataset, validation.table
        _, width = dataset.input_size_hw
        crops = dataset.frames().from_picture(table.keypoints)
        self.answers: dict[bytes, torch.Tensor] = {}
        permutation = list(dataset.skeleton.flip_permutation)
        for person in range(len(table)):
            image = dataset[0, person]["image"]
            mu = torch.tensor(crops[person]).float() + error
            mirrored = mu[permutation] * torch.tensor([-1.0, 1.0]) - torch.tensor([1 / width, 0])
            self.answers[image.numpy().tobytes()] = mu
            self.answers[image.flip(-1).numpy().tobytes()] = mirrored

    def forward(self, image: torch.Tensor) -> PoseOutput:
        mu = torch.stack([self.answers[one.numpy().tobytes()] for one in image])
        return PoseOutput(mu, torch.full_like(mu, 0.1))


@pytest.mark.parametrize("flip_test", [True, False])
def test_the_truth_scores_one(tiny_config: Callable[..., Config], flip_test: bool) -> None:
    validation = build_validation(tiny_config(f"eval.flip_test={str(flip_test).lower()}"), "gt", ALONE)
    metrics, results, poses = validation.run(as_trained(Oracle(validation), CRITERION, validation))
    assert metrics["gt/AP"] == pytest.approx(1)
    assert metrics["gt/AR"] == pytest.approx(1)
    assert results is not None and len(results[0]) == len(validation.table)
    labelled = validation.table.visible > 0
    assert np.abs(poses.keypoints - validation.table.keypoints)[labelled].max() < 0.01


def test_an_error_lowers_ap(tiny_config: Callable[..., Config]) -> None:
    validation = build_validation(tiny_config("eval.flip_test=false"), "gt", ALONE)
    values = [
        validation.run(as_trained(Oracle(validation, error), CRITERION, validation))[0]["gt/AP"]
        for error in (0, 0.02, 0.3)
    ]
    assert values[0] > values[1] > values[2]


def detections(validation: Validation, path: Path, copies: int = 1) -> str:
    """The true boxes as a detection file, each `copies` times with falling scores."""
    table = validation.table
    entries = [
        {
            "image_id": int(table.person_image_ids()[person]),
            "category_id": 1,
            # The reader takes one pixel off, as for annotations.
            "bbox": [
                *map(float, table.bbox_xywh[person, :2]),
                *(float(size) + 1 for size in table.bbox_xywh[person, 2:]),
            ],
            "score": 0.9 - 0.1 * copy,
        }
        for copy in range(copies)
        for person in range(len(table))
    ]
    path.write_text(json.dumps(entries))
    return str(path)


def test_detected_boxes_that_are_the_true_ones_score_one(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny_config()
    truth = build_validation(config, "gt", ALONE)
    validation = build_validation(config, detections(truth, tmp_path / "boxes.json"), ALONE)
    metrics, _, _ = validation.run(as_trained(Oracle(truth), CRITERION, validation))
    assert metrics["det/AP"] == pytest.approx(1)
    assert "gt/AP" not in metrics


def test_twice_detected_persons_are_suppressed(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny_config()
    truth = build_validation(config, "gt", ALONE)
    validation = build_validation(config, detections(truth, tmp_path / "boxes.json", copies=3), ALONE)
    metrics, results, _ = validation.run(as_trained(Oracle(truth), CRITERION, validation))
    assert len(validation.table) == 3 * len(truth.table)
    assert results is not None and len(results[0]) == len(truth.table)
    assert metrics["det/AP"] == pytest.approx(1)


def test_poses_rank_by_their_boxes_scores_too(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    """Wrong poses of slightly surer joints, in boxes of lower scores, come after all right ones and cost nothing."""
    config = tiny_config("eval.nms_threshold=1.1")
    truth = build_validation(config, "gt", ALONE)
    validation = build_validation(config, detections(truth, tmp_path / "boxes.json", copies=2), ALONE)
    right, wrong = truth.table.keypoints, truth.table.keypoints + 1000
    joint_scores = np.repeat([[0.5], [0.52]], len(right), axis=0).repeat(17, axis=1)
    poses = poses_of(validation.table, np.concatenate([right, wrong]), joint_scores, labelled=False)
    assert validation.evaluator.evaluate(poses)[0]["det/AP"] == pytest.approx(1)


@pytest.mark.parametrize(("above_similarity", "kept"), [(-0.01, 1), (0.01, 2)])
def test_poses_are_similar_relative_to_the_area_of_their_crops(
    tiny_config: Callable[..., Config], tmp_path: Path, above_similarity: float, kept: int
) -> None:
    """Two poses 5 px apart in one box of 30 x 60 px, of which a square crop has (1.25 * 60)² px²."""
    truth = build_validation(tiny_config(), "gt", ALONE)
    similarity = np.exp(-(5**2) / (2 * 75**2 * np.square(2 * np.array(truth.evaluator.skeleton.oks_sigmas)))).mean()
    box = {"image_id": int(truth.table.image_ids[0]), "category_id": 1, "bbox": [20, 20, 31, 61], "score": 0.9}
    (tmp_path / "boxes.json").write_text(json.dumps([box, box]))
    config = tiny_config(f"eval.nms_threshold={similarity + above_similarity}")
    validation = build_validation(config, str(tmp_path / "boxes.json"), ALONE)
    pose = np.random.default_rng(0).uniform([20, 20], [50, 80], (17, 2))
    poses = poses_of(validation.table, pose + np.array([[[0, 0]], [[3, 4]]]), np.ones((2, 17)), labelled=False)
    poses = dataclasses.replace(poses, frame_wh=validation.source.dataset.scale)
    _, (results,) = validation.evaluator.evaluate(poses)
    assert len(results) == kept


def test_the_backends_give_one_table(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    truth = build_validation(tiny_config(), "gt", ALONE)
    boxes = detections(truth, tmp_path / "boxes.json", copies=2)
    numpy, pycocotools = (
        build_validation(tiny_config(f"eval.backend={name}", "eval.nms_threshold=1.1"), boxes, ALONE)
        for name in ("numpy", "pycocotools")
    )
    poses = numpy.source.predict(as_trained(Oracle(truth, error=0.02), CRITERION, numpy))
    metrics, _ = numpy.evaluator.evaluate(poses)
    assert 0 < metrics["det/AP"] < 1
    assert pycocotools.evaluator.evaluate(poses)[0] == pytest.approx(metrics, abs=1e-12)


def test_a_file_without_a_detection_is_refused(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text("[]")
    with pytest.raises(InputError, match=r"boxes\.json: expected boxes, got an empty list"):
        build_validation(tiny_config(), str(tmp_path / "boxes.json"), ALONE)


def test_a_prediction_of_nan_is_refused(tiny_config: Callable[..., Config]) -> None:
    validation = build_validation(tiny_config(), "gt", ALONE)
    with pytest.raises(InputError, match="predicts NaN"):
        validation.run(as_trained(Oracle(validation, error=float("nan")), CRITERION, validation))


def test_pck_is_given_where_pictures_have_one_person(tiny_config: Callable[..., Config], real_data: Path) -> None:
    config = tiny_config(
        f"data.root={real_data / 'lspet'}",
        "data.val_annotations=annotations/lspet_val.json",
        "data.val_images=images/val",
        "data.num_keypoints=null",
        "eval.pck_reference=torso",
        "eval.flip_test=false",
    )
    validation = build_validation(config, "gt", ALONE)
    metrics, _, _ = validation.run(as_trained(Oracle(validation), CRITERION, validation))
    assert metrics["gt/PCK@0.1"] == 1
    assert metrics["gt/PCK@0.2"] == 1


@pytest.mark.parametrize(("reference", "given"), [("box", False), ("torso", True)])
def test_pck_with_several_persons_a_picture_is_given_when_its_reference_is_chosen(
    tiny_config: Callable[..., Config], reference: str, given: bool
) -> None:
    validation = build_validation(tiny_config(f"eval.pck_reference={reference}"), "gt", ALONE)
    assert len(np.unique(validation.table.image_index)) < len(validation.table)
    metrics, _, _ = validation.run(as_trained(Oracle(validation), CRITERION, validation))
    assert metrics.get("gt/PCK@0.1") == (1 if given else None)


def test_the_table_shows_every_kind_of_boxes_and_what_is_not_defined() -> None:
    table = CocoEvaluator.format_table({"gt/AP": 0.5, "gt/APM": None, "det/AP": 0.4, "det/APM": 0.1})
    header, first, second = table.splitlines()
    assert header.split() == ["boxes", "AP", "APM"]
    assert first.split() == ["gt", "0.5000", "–"]
    assert second.split() == ["det", "0.4000", "0.1000"]


def test_pictures_show_each_chosen_person_twice(tiny_config: Callable[..., Config]) -> None:
    validation = build_validation(tiny_config(), "gt", ALONE)
    model = as_trained(Oracle(validation), CRITERION, validation)
    poses = validation.source.predict(model)
    picture = validation.evaluator.pictures(poses, model.spread, 3)
    assert picture is not None
    assert picture.shape == (640, 960, 3)


@pytest.fixture
def judged_config(tiny_config: Callable[..., Config]) -> Config:
    """All numbers of a person in an annotated box: COCO's, PCK and NME."""
    return tiny_config("eval={pck_reference: torso, nme_reference: box}")


def shuffled(poses: Poses) -> tuple[Poses, NDArray[np.intp]]:
    order = np.random.default_rng(1).permutation(len(poses))
    return reordered(poses, order), order


def test_poses_in_any_order_are_compared_with_the_labels_of_their_persons(judged_config: Config) -> None:
    validation = build_validation(judged_config, "gt", ALONE)
    evaluator, poses = validation.evaluator, near_the_labels(validation)
    others, order = shuffled(poses)
    metrics, _ = evaluator.evaluate(poses)
    assert {"gt/AP", "gt/PCK@0.2", "gt/NME"} <= metrics.keys() and 0 < metrics["gt/AP"] < 1
    assert evaluator.evaluate(others)[0] == pytest.approx(metrics)
    np.testing.assert_array_equal(evaluator.rows(others), order)
    np.testing.assert_array_equal(nme_of(validation, others).errors, nme_of(validation, poses).errors[order])
    drawn = [evaluator.draw(*which, None, "") for which in ((0, others), (int(order[0]), poses))]
    np.testing.assert_array_equal(*drawn)


def test_poses_of_some_persons_are_compared_with_the_labels_of_these(judged_config: Config) -> None:
    validation = build_validation(judged_config, "gt", ALONE)
    rows = np.array([5, 2, 9])
    some = reordered(near_the_labels(validation), rows)
    np.testing.assert_array_equal(validation.evaluator.rows(some), rows)
    metrics, (found,) = validation.evaluator.evaluate(some)
    assert len(found) == 3 and metrics["gt/PCK@0.2"] > 0.5


def test_a_pose_of_an_unknown_person_is_refused(judged_config: Config) -> None:
    validation = build_validation(judged_config, "gt", ALONE)
    poses = near_the_labels(validation)
    for unknown in (-1, 987654):
        ids = np.where(np.arange(len(poses)) == 4, unknown, poses.person_ids)
        with pytest.raises(InputError, match=rf"person_keypoints_val\.json: no labelled person {unknown};"):
            validation.evaluator.evaluate(dataclasses.replace(poses, person_ids=ids))


def test_poses_of_nobodys_boxes_are_judged_by_ap_alone(judged_config: Config) -> None:
    validation = build_validation(judged_config, "gt", ALONE)
    poses = dataclasses.replace(near_the_labels(validation), person_ids=None)
    metrics, _ = CocoEvaluator(judged_config, validation.evaluator.coco, None).evaluate(poses)
    assert 0 < metrics["det/AP"] < 1
    assert not any("PCK" in name or "NME" in name for name in metrics)
    with pytest.raises(InputError, match=r"person_keypoints_val\.json: these poses have no annotation ids"):
        validation.evaluator.evaluate(poses)


def test_of_some_batches_all_other_persons_have_no_pose(tiny_config: Callable[..., Config]) -> None:
    validation = build_validation(tiny_config("eval.batch_size=1"), "gt", ALONE)
    model = as_trained(Oracle(validation), CRITERION, validation)
    poses = validation.source.predict(model, batches=2)
    pictures = np.unique(validation.table.image_index)[:2]  # a batch is at least a picture
    np.testing.assert_array_equal(poses.valid, np.isin(validation.table.image_index, pictures))
    _, (found,), _ = validation.run(model, batches=2)
    assert set(found.image_ids) == set(validation.table.image_ids[pictures])
