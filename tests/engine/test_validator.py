import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.codec import PoseOutput
from rlepose.config import Config, LossConfig
from rlepose.engine.distributed import Ranks
from rlepose.engine.estimator import Predictions
from rlepose.engine.validator import Validator
from rlepose.errors import InputError
from rlepose.geometry import transform_points
from rlepose.losses import build_criterion

ALONE = Ranks(0, 1, torch.device("cpu"))
CRITERION = build_criterion(LossConfig(), 17)


class Oracle(torch.nn.Module):
    """Answers with the truth: it recognises each crop by its bytes. Mirrored crops get the mirrored truth."""

    def __init__(self, validator: Validator, error: float = 0.0) -> None:
        super().__init__()
        dataset, table = validator.dataset, validator.table
        height, width = dataset.input_size_hw
        crops = transform_points(dataset.crop_matrices(), table.keypoints) / np.array([width, height]) - 0.5
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
    validator = Validator(tiny_config(f"eval.flip_test={str(flip_test).lower()}"), "gt", ALONE)
    metrics, results, predictions = validator.run(Oracle(validator), CRITERION)
    assert metrics["gt/AP"] == pytest.approx(1)
    assert metrics["gt/AR"] == pytest.approx(1)
    assert results is not None and len(results[0]) == len(validator.table)
    labelled = validator.table.visible > 0
    assert np.abs(predictions.keypoints - validator.table.keypoints)[labelled].max() < 0.01


def test_an_error_lowers_ap(tiny_config: Callable[..., Config]) -> None:
    validator = Validator(tiny_config("eval.flip_test=false"), "gt", ALONE)
    values = [validator.run(Oracle(validator, error), CRITERION)[0]["gt/AP"] for error in (0, 0.02, 0.3)]
    assert values[0] > values[1] > values[2]


def detections(validator: Validator, path: Path, copies: int = 1) -> str:
    """The true boxes as a detection file, each `copies` times with falling scores."""
    table = validator.table
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
    truth = Validator(config, "gt", ALONE)
    validator = Validator(config, detections(truth, tmp_path / "boxes.json"), ALONE)
    metrics, _, _ = validator.run(Oracle(truth), CRITERION)
    assert metrics["det/AP"] == pytest.approx(1)
    assert "gt/AP" not in metrics


def test_twice_detected_persons_are_suppressed(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny_config()
    truth = Validator(config, "gt", ALONE)
    validator = Validator(config, detections(truth, tmp_path / "boxes.json", copies=3), ALONE)
    metrics, results, _ = validator.run(Oracle(truth), CRITERION)
    assert len(validator.table) == 3 * len(truth.table)
    assert results is not None and len(results[0]) == len(truth.table)
    assert metrics["det/AP"] == pytest.approx(1)


def test_poses_rank_by_their_boxes_scores_too(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    """Wrong poses of slightly surer joints, in boxes of lower scores, come after all right ones and cost nothing."""
    config = tiny_config("eval.nms_threshold=1.1")
    truth = Validator(config, "gt", ALONE)
    validator = Validator(config, detections(truth, tmp_path / "boxes.json", copies=2), ALONE)
    right, wrong = truth.table.keypoints, truth.table.keypoints + 1000
    joint_scores = np.repeat([[0.5], [0.52]], len(right), axis=0).repeat(17, axis=1)
    predictions = Predictions(np.concatenate([right, wrong]), None, joint_scores, np.ones(2 * len(right), bool))
    assert validator.evaluate(predictions)[0]["det/AP"] == pytest.approx(1)


@pytest.mark.parametrize(("above_similarity", "kept"), [(-0.01, 1), (0.01, 2)])
def test_poses_are_similar_relative_to_the_area_of_their_crops(
    tiny_config: Callable[..., Config], tmp_path: Path, above_similarity: float, kept: int
) -> None:
    """Two poses 5 px apart in one box of 30 x 60 px, of which a square crop has (1.25 * 60)² px²."""
    truth = Validator(tiny_config(), "gt", ALONE)
    oks_sigmas = np.array(truth.skeleton.oks_sigmas)
    similarity = np.exp(-(5**2) / (2 * 75**2 * np.square(2 * oks_sigmas))).mean()
    box = {"image_id": int(truth.table.image_ids[0]), "category_id": 1, "bbox": [20, 20, 31, 61], "score": 0.9}
    (tmp_path / "boxes.json").write_text(json.dumps([box, box]))
    config = tiny_config(f"eval.nms_threshold={similarity + above_similarity}")
    validator = Validator(config, str(tmp_path / "boxes.json"), ALONE)
    pose = np.random.default_rng(0).uniform([20, 20], [50, 80], (17, 2))
    predictions = Predictions(pose + np.array([[[0, 0]], [[3, 4]]]), None, np.ones((2, 17)), np.ones(2, bool))
    assert len(validator.detected_poses(predictions, validator.kinds[0])) == kept


def test_the_backends_give_one_table(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    truth = Validator(tiny_config(), "gt", ALONE)
    boxes = detections(truth, tmp_path / "boxes.json", copies=2)
    numpy, pycocotools = (
        Validator(tiny_config(f"eval.backend={name}", "eval.nms_threshold=1.1"), boxes, ALONE)
        for name in ("numpy", "pycocotools")
    )
    predictions = numpy.predict(Oracle(truth, error=0.02), CRITERION)
    metrics, _ = numpy.evaluate(predictions)
    assert 0 < metrics["det/AP"] < 1
    assert pycocotools.evaluate(predictions)[0] == pytest.approx(metrics, abs=1e-12)


def test_no_detection_at_all_gives_zero(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text("[]")
    validator = Validator(tiny_config(), str(tmp_path / "boxes.json"), ALONE)
    metrics, results, _ = validator.run(Oracle(Validator(tiny_config(), "gt", ALONE)), CRITERION)
    assert results is not None and len(results[0]) == 0
    assert metrics["det/AP"] == 0


def test_a_prediction_of_nan_is_refused(tiny_config: Callable[..., Config]) -> None:
    validator = Validator(tiny_config(), "gt", ALONE)
    with pytest.raises(InputError, match="predicts NaN"):
        validator.run(Oracle(validator, error=float("nan")), CRITERION)


def test_pck_is_given_where_pictures_have_one_person(tiny_config: Callable[..., Config], real_data: Path) -> None:
    config = tiny_config(
        f"data.root={real_data / 'lspet'}",
        "data.val_annotations=annotations/lspet_val.json",
        "data.val_images=images/val",
        "data.num_keypoints=null",
        "eval.pck_reference=torso",
        "eval.flip_test=false",
    )
    validator = Validator(config, "gt", ALONE)
    metrics, _, _ = validator.run(Oracle(validator), CRITERION)
    assert metrics["gt/PCK@0.1"] == 1
    assert metrics["gt/PCK@0.2"] == 1


@pytest.mark.parametrize(("reference", "given"), [("box", False), ("torso", True)])
def test_pck_with_several_persons_a_picture_is_given_when_its_reference_is_chosen(
    tiny_config: Callable[..., Config], reference: str, given: bool
) -> None:
    validator = Validator(tiny_config(f"eval.pck_reference={reference}"), "gt", ALONE)
    assert len(np.unique(validator.table.image_index)) < len(validator.table)
    metrics, _, _ = validator.run(Oracle(validator), CRITERION)
    assert metrics.get("gt/PCK@0.1") == (1 if given else None)


def test_the_table_shows_every_kind_of_boxes_and_what_is_not_defined() -> None:
    table = Validator.format_table({"gt/AP": 0.5, "gt/APM": None, "det/AP": 0.4, "det/APM": 0.1})
    header, first, second = table.splitlines()
    assert header.split() == ["boxes", "AP", "APM"]
    assert first.split() == ["gt", "0.5000", "–"]
    assert second.split() == ["det", "0.4000", "0.1000"]


def test_pictures_show_each_chosen_person_twice(tiny_config: Callable[..., Config]) -> None:
    validator = Validator(tiny_config(), "gt", ALONE)
    predictions = validator.predict(Oracle(validator), CRITERION)
    picture = validator.pictures(predictions, CRITERION, 3)
    assert picture is not None
    assert picture.shape == (640, 960, 3)
