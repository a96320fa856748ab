"""From a model to numbers: predictions of all persons over all ranks, then COCO's table and PCK."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from rlepose.codec import PoseOutput, joint_scores
from rlepose.config import Config
from rlepose.datasets.batches import EvalBatches
from rlepose.datasets.coco import CocoFile, persons_from_annotations, persons_from_detections
from rlepose.datasets.images import read_image
from rlepose.datasets.loading import BadImages, PoseDataset, make_loader, split_batch
from rlepose.engine.distributed import Ranks, choose_precision
from rlepose.engine.forward import in_picture, predict_crops
from rlepose.engine.prefetch import on_device
from rlepose.evaluation.coco import COCO_METRICS, evaluate_coco
from rlepose.evaluation.oks import oks_nms
from rlepose.evaluation.pck import PCK_THRESHOLDS, pck, reference_joints, reference_length
from rlepose.evaluation.recalibration import Recalibration
from rlepose.evaluation.results import CocoResults, coco_results, pose_scores
from rlepose.evaluation.truth import truth_of
from rlepose.geometry import Floats
from rlepose.losses import Criterion
from rlepose.visualize import Picture, sheet, truth_and_prediction

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predictions:
    """One pose for each row of a PersonTable.

    keypoints (N, K, 2) px in the picture; sigma (N, K, 2) px or None; joint_scores (N, K);
    valid (N,): False where the picture could not be read and was skipped.
    """

    keypoints: Floats
    sigma: Floats | None
    joint_scores: Floats
    valid: NDArray[np.bool_]


class _Part(NamedTuple):
    """One batch's output on the CPU.

    persons (B,) rows of the table, mu and sigma (B, K, 2), joint_scores (B, K), valid (B,)."""

    persons: NDArray[np.int64]
    mu: Floats
    sigma: Floats | None
    joint_scores: Floats
    valid: NDArray[np.bool_]


class Validator:
    """Validation on the persons of `config.data`'s validation file.

    boxes: 'gt' for the boxes of the annotation file, else the path of a detection file. The numbers' names begin with
    'gt/' or 'det/' accordingly. recalibration: corrects the predicted sigma; scores, and so AP, stay the network's.
    """

    def __init__(self, config: Config, boxes: str, ranks: Ranks, recalibration: Recalibration | None = None) -> None:
        data = config.data
        root = Path(data.root)
        self.config = config
        self.ranks = ranks
        self.recalibration = recalibration
        self.detected = boxes != "gt"
        self.prefix = "det" if self.detected else "gt"
        self.coco = CocoFile(root / data.val_annotations, data.category)
        self.truth = truth_of(self.coco)
        self.skeleton = self.coco.skeleton(data.oks_sigmas)
        self._flip_permutation = torch.tensor(self.skeleton.flip_permutation, device=ranks.device)
        images = root / data.val_images
        if self.detected:
            table = persons_from_detections(self.coco, images, boxes)
        else:
            table = persons_from_annotations(self.coco, images)
        self.table = table.with_pictures(data.on_bad_image)
        reference_joints(config.eval.pck_reference, self.skeleton)  # an InputError now rather than after an epoch
        self.dataset = PoseDataset(self.table, self.skeleton, data.input_size_hw, data.box_scale)

    def predict(self, model: nn.Module, criterion: Criterion) -> Predictions:
        """Poses of all persons, gathered from all ranks."""
        config, ranks = self.config, self.ranks
        size = config.eval.batch_size
        permutation = self._flip_permutation if config.eval.flip_test else None
        batches = EvalBatches(self.table.image_index, size, ranks.rank, ranks.world_size)
        loader = make_loader(self.dataset, batches, config.system.workers, ranks.device.type == "cuda")
        bad_images = BadImages(config.data.on_bad_image)
        precision = choose_precision(config.system.precision, ranks.device)
        progress = tqdm(loader, desc="validate", leave=False, disable=None if ranks.is_main else True)
        batches_of_size = (part for whole_pictures in progress for part in split_batch(whole_pictures, size))
        outputs: list[tuple[NDArray[np.int64], NDArray[np.bool_], PoseOutput]] = []
        model.eval()
        with (
            torch.inference_mode(),
            torch.autocast(ranks.device.type, torch.bfloat16, enabled=precision == torch.bfloat16),
        ):
            for batch, tensors in on_device(batches_of_size, ranks.device):
                bad_images.check(batch["problem"])
                valid = np.array([not problem for problem in batch["problem"]])
                # A copy: what comes from a worker keeps a file open for as long as it is held.
                persons = batch["index"].numpy().copy()
                # Left on the device, 272 bytes a person of 17 joints: reading it here would wait for each batch.
                outputs.append((persons, valid, predict_crops(model, criterion, tensors["image"], permutation)))
        bad_images.report(ranks.gather(bad_images.seen))
        parts = [_on_host(persons, valid, output) for persons, valid, output in outputs]
        return self._merge([part for of_rank in ranks.gather(parts) for part in of_rank])

    def run(self, model: nn.Module, criterion: Criterion) -> tuple[dict[str, Any], CocoResults | None, Predictions]:
        """Metrics by name, COCO results (None on other ranks than 0), and the predictions they were made of."""
        predictions = self.predict(model, criterion)
        results: CocoResults | None = None

        def evaluate() -> dict[str, Any]:
            nonlocal results
            metrics, results = self.evaluate(predictions)
            return metrics

        return self.ranks.on_main(evaluate), results, predictions

    def evaluate(self, predictions: Predictions) -> tuple[dict[str, Any], CocoResults]:
        """Metrics by name, and the COCO results that they were computed from."""
        table, options = self.table, self.config.eval
        oks_sigmas = np.array(self.skeleton.oks_sigmas)
        valid = np.flatnonzero(predictions.valid)
        keypoints, scores_of_joints = predictions.keypoints[valid], predictions.joint_scores[valid]
        scores = pose_scores(scores_of_joints, table.box_score[valid] if self.detected else None)
        image_index = table.image_index[valid]
        results = coco_results(
            keypoints, scores_of_joints, scores, table.image_ids[image_index], self.coco.category["id"]
        )
        if self.detected:
            areas = np.prod(self.dataset.scale[valid], axis=1)
            results = results.select(oks_nms(keypoints, scores, areas, image_index, oks_sigmas, options.nms_threshold))
        metrics = evaluate_coco(self.truth, results, oks_sigmas, options.backend)
        if not self.detected and len(np.unique(image_index)) == len(image_index):
            metrics |= self._pck(keypoints, valid)
        return {f"{self.prefix}/{name}": value for name, value in metrics.items()}, results

    def pictures(self, predictions: Predictions, criterion: Criterion, count: int) -> Picture | None:
        """Truth beside prediction for `count` persons, spread evenly over the table; None if there are none.

        The ellipses' half axes are one standard deviation: sigma times the spread that the criterion's flow learned.
        """
        persons = np.flatnonzero(predictions.valid)
        if self.detected or not count or not len(persons):
            return None
        sigma = predictions.sigma
        if sigma is not None:
            sigma = sigma * criterion.main.residual_spread().cpu().numpy()
        chosen = persons[np.unique(np.linspace(0, len(persons) - 1, min(count, len(persons))).astype(int))]
        return sheet(
            [
                truth_and_prediction(
                    read_image(self.table.image_path(person)),
                    self.table.bbox_xywh[person],
                    self.skeleton,
                    self.table.keypoints[person],
                    self.table.visible[person],
                    predictions.keypoints[person],
                    None if sigma is None else sigma[person],
                    f"predicted, score {predictions.joint_scores[person].mean():.2f}",
                )
                for person in chosen
            ]
        )

    def _merge(self, parts: list[_Part]) -> Predictions:
        """Batches from all ranks to arrays in the table's order, in pixels."""
        count, joints = len(self.table), len(self.skeleton)
        mu, scores, valid = np.zeros((count, joints, 2)), np.zeros((count, joints)), np.zeros(count, bool)
        sigma: Floats | None = None if any(part.sigma is None for part in parts) else np.zeros((count, joints, 2))
        for part in parts:
            mu[part.persons], scores[part.persons], valid[part.persons] = part.mu, part.joint_scores, part.valid
            if sigma is not None:
                assert part.sigma is not None
                sigma[part.persons] = part.sigma
        matrices = self.dataset.crop_matrices()
        keypoints, sigma = in_picture(mu, sigma, self.recalibration, matrices, self.config.data.input_size_hw)
        return Predictions(keypoints, sigma, scores, valid)

    def _pck(self, keypoints: Floats, persons: NDArray[np.intp]) -> dict[str, float | None]:
        truth, visible = self.table.keypoints[persons], self.table.visible[persons]
        kind = self.config.eval.pck_reference
        reference = reference_length(kind, truth, visible, self.table.bbox_xywh[persons], self.skeleton)
        return {f"PCK@{t:g}": pck(keypoints, truth, visible, reference, t) for t in PCK_THRESHOLDS[kind]}


def _on_host(persons: NDArray[np.int64], valid: NDArray[np.bool_], output: PoseOutput) -> _Part:
    sigma = None if output.sigma is None else output.sigma.cpu().numpy()
    return _Part(persons, output.mu.cpu().numpy(), sigma, joint_scores(output).cpu().numpy(), valid)


def format_table(metrics: dict[str, Any]) -> str:
    """The metrics as a table: a row for the kind of boxes, a column a number."""
    kinds = sorted({name.partition("/")[0] for name in metrics}, reverse=True)
    names = [*COCO_METRICS, *(f"PCK@{t:g}" for t in sorted(set().union(*PCK_THRESHOLDS.values())))]
    names = [name for name in names if any(f"{kind}/{name}" in metrics for kind in kinds)]
    lines = ["boxes " + " ".join(f"{name:>7}" for name in names)]
    for kind in kinds:
        values = (metrics.get(f"{kind}/{name}") for name in names)
        lines.append(f"{kind:<5} " + " ".join("      –" if v is None else f"{v:7.4f}" for v in values))
    return "\n".join(lines)
