"""From a model to poses: the persons of a table, over all ranks, with or without labels."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from rlepose.config.config import Config
from rlepose.datasets.batches import EvalBatches
from rlepose.datasets.category_joints import JointKind
from rlepose.datasets.crops import BadImages, PoseDataset, make_loader, split_batch
from rlepose.datasets.persons import PersonTable
from rlepose.evaluation.oks import oks_nms
from rlepose.evaluation.recalibration import Recalibration
from rlepose.evaluation.results import CocoResults, coco_results, pose_scores
from rlepose.evaluation.slices import area_joints
from rlepose.losses import Criterion
from rlepose.models.forward import in_picture, predict_crops
from rlepose.pose.codec import PoseOutput, joint_scores
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.precision import choose_precision
from rlepose.runtime.prefetch import on_device


@dataclass(frozen=True)
class Predictions:
    """One pose for each row of a PersonTable.

    keypoints (N, K, D) px in the picture, and mm behind the root in 3-D; sigma (N, K, D), the same, or None;
    joint_scores (N, K);
    valid (N,): False where the picture could not be read and was skipped.
    """

    keypoints: Floats
    sigma: Floats | None
    joint_scores: Floats
    valid: NDArray[np.bool_]


class _Part(NamedTuple):
    """One batch's output on the CPU.

    persons (B,) rows of the table, mu and sigma (B, K, D), joint_scores (B, K), valid (B,)."""

    persons: NDArray[np.int64]
    mu: Floats
    sigma: Floats | None
    joint_scores: Floats
    valid: NDArray[np.bool_]


class Estimator:
    """Poses of the persons of a table. recalibration: corrects the predicted sigma; scores stay the network's."""

    def __init__(
        self,
        config: Config,
        table: PersonTable,
        skeleton: Skeleton,
        ranks: Ranks,
        recalibration: Recalibration | None = None,
    ) -> None:
        data = config.data
        self.config = config
        self.ranks = ranks
        self.recalibration = recalibration
        self.skeleton = skeleton
        self._flip_permutation = torch.tensor(skeleton.flip_permutation, device=ranks.device)
        self.table = table.with_pictures(data.on_bad_image)
        self.dataset = PoseDataset(self.table, skeleton, data.input_size_hw, data.box_scale)

    def predict(self, model: nn.Module, criterion: Criterion) -> Predictions:
        """Poses of all persons, gathered from all ranks."""
        config, ranks = self.config, self.ranks
        size = config.eval.batch_size
        permutation = self._flip_permutation if config.eval.flip_test else None
        batches = EvalBatches(self.table.image_index, size, ranks.rank, ranks.world_size)
        loader = make_loader(self.dataset, batches, config.system.workers, ranks.device.type == "cuda")
        bad_images = BadImages(config.data.on_bad_image)
        precision = choose_precision(config.system.precision, ranks.device, model)
        progress = tqdm(loader, desc="validate", leave=False, disable=None if ranks.is_main else True)
        batches_of_size = (part for whole_pictures in progress for part in split_batch(whole_pictures, size))
        outputs: list[tuple[NDArray[np.int64], NDArray[np.bool_], PoseOutput]] = []
        model.eval()
        with (
            torch.inference_mode(),
            torch.autocast(ranks.device.type, torch.bfloat16, enabled=precision.dtype == torch.bfloat16),
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

    def poses(self, predictions: Predictions, kind: JointKind, box_score: Floats | None = None) -> CocoResults:
        """COCO results of this kind's persons whose picture could be read, with the kind's own joints.

        box_score (N,): the detector's, to rank poses by."""
        rows = self._rows(predictions, kind)
        scores = predictions.joint_scores[rows].take(kind.joints, axis=1)
        return coco_results(
            predictions.keypoints[rows].take(kind.joints, axis=1),
            scores,
            pose_scores(scores, None if box_score is None else box_score[rows]),
            self.table.person_image_ids()[rows],
            kind.category_ids[0],
            area_joints([self.skeleton.names[joint] for joint in kind.joints]),
        )

    def detected_poses(self, predictions: Predictions, kind: JointKind) -> CocoResults:
        """The same from a detector's boxes, of which several may hold one person: rescored, after OKS-NMS."""
        results = self.poses(predictions, kind, self.table.box_score)
        rows = self._rows(predictions, kind)
        kept = oks_nms(
            predictions.keypoints[rows].take(kind.joints, axis=1),
            results.scores,
            np.prod(self.dataset.scale[rows], axis=1),
            self.table.image_index[rows],
            np.array(self.skeleton.oks_sigmas).take(kind.joints),
            self.config.eval.nms_threshold,
        )
        return results.select(kept)

    def _rows(self, predictions: Predictions, kind: JointKind) -> NDArray[np.intp]:
        return np.flatnonzero(predictions.valid & kind.rows(self.table.category_ids))

    def _merge(self, parts: list[_Part]) -> Predictions:
        """Batches from all ranks to arrays in the table's order, in pixels."""
        count, joints = len(self.table), len(self.skeleton)
        mu, scores = np.zeros((count, joints, self.config.dims)), np.zeros((count, joints))
        valid = np.zeros(count, bool)
        sigma: Floats | None = None if any(part.sigma is None for part in parts) else np.zeros_like(mu)
        for part in parts:
            mu[part.persons], scores[part.persons], valid[part.persons] = part.mu, part.joint_scores, part.valid
            if sigma is not None:
                assert part.sigma is not None
                sigma[part.persons] = part.sigma
        frames, root_depth = self.dataset.frames(), self.config.loss.root_depth
        keypoints, sigma = in_picture(mu, sigma, self.recalibration, frames, root_depth)
        return Predictions(keypoints, sigma, scores, valid)


def _on_host(persons: NDArray[np.int64], valid: NDArray[np.bool_], output: PoseOutput) -> _Part:
    sigma = None if output.sigma is None else output.sigma.cpu().numpy()
    return _Part(persons, output.mu.cpu().numpy(), sigma, joint_scores(output).cpu().numpy(), valid)
