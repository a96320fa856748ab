"""Predict poses for the persons of a table with a trained model, over all ranks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from rlepose.config.config import Config
from rlepose.datasets.batches import EvalBatches
from rlepose.datasets.crops import BadImages, PoseDataset
from rlepose.datasets.loading import WatchedLoader, make_loader
from rlepose.datasets.persons import PersonTable
from rlepose.pose.codec import PoseOutput, joint_scores
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import Skeleton
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.prefetch import on_device
from rlepose.runtime.trained_model import TrainedModel


class _Part(NamedTuple):
    """One batch's output on the CPU.

    persons (B,) rows of the table, mu and sigma (B, K, D), joint_scores (B, K), valid (B,)."""

    persons: NDArray[np.int64]
    mu: Floats
    sigma: Floats | None
    joint_scores: Floats
    valid: NDArray[np.bool_]


class TableSource:
    """Poses of the persons of a table, each in the crop around its box.

    labelled: whether the boxes come from annotations or from a detector.
    """

    def __init__(
        self, config: Config, table: PersonTable, skeleton: Skeleton, ranks: Ranks, labelled: bool = True
    ) -> None:
        data = config.data
        self.config = config
        self.ranks = ranks
        self.table = table.with_pictures(data.on_bad_image)
        self._missing = set(table.person_image_ids().tolist()) - set(self.table.person_image_ids().tolist())
        self.labelled = labelled
        self.skeleton = skeleton
        self.dataset = PoseDataset(self.table, skeleton, data.input_size_hw, data.box_scale)
        self._loader()  # refuses now what workers have no room for, and not after an epoch or another validation

    def predict(self, model: TrainedModel, batches: int | None = None) -> Poses:
        """Return poses of all persons, gathered from all ranks. Collective: every rank must call.

        batches: predict only so many on each rank; the persons of all others are not valid.
        """
        config, ranks = self.config, self.ranks
        size = config.eval.batch_size
        loader = self._loader(batches)
        bad_images = BadImages(config.data.on_bad_image)
        progress = tqdm(loader, desc="validate", leave=False, disable=None if ranks.is_main else True)
        batches_of_size = (
            whole_pictures[start : start + size]
            for whole_pictures in progress
            for start in range(0, len(whole_pictures), size)
        )
        outputs: list[tuple[NDArray[np.int64], NDArray[np.bool_], PoseOutput]] = []
        model.network.eval()
        for batch, moved in on_device(batches_of_size, ranks.device):
            bad_images.check(batch.problems)
            valid = np.array([not problem for problem in batch.problems])
            # Copied, because a tensor from a worker keeps a file open as long as it exists.
            persons = batch.persons.numpy().copy()
            # Kept on the device, 272 bytes per person with 17 joints: copying here would wait for each batch.
            outputs.append((persons, valid, model.predict(moved.image)))
        bad_images.report(ranks.gather(bad_images.state), complete=batches is None)
        parts = [_on_host(persons, valid, output) for persons, valid, output in outputs]
        return self._merge(model, [part for of_rank in ranks.gather(parts) for part in of_rank])

    def _loader(self, batches: int | None = None) -> WatchedLoader:
        """All persons of this rank, or only of its first batches."""
        system, ranks = self.config.system, self.ranks
        order = EvalBatches(self.table.image_index, self.config.eval.batch_size, ranks.rank, ranks.world_size)
        order.batches = order.batches[:batches]
        pin_memory = ranks.device.type == "cuda"
        return make_loader(self.dataset, order, system.workers, pin_memory, system.worker_timeout_s)

    def _merge(self, model: TrainedModel, parts: list[_Part]) -> Poses:
        """Merge batches of all ranks to arrays in the table's order, in pixels."""
        table = self.table
        count, joints = len(table), len(self.skeleton)
        mu, scores = np.zeros((count, joints, self.config.dims)), np.zeros((count, joints))
        valid, tried = np.zeros(count, bool), np.zeros(count, bool)
        sigma: Floats | None = None if any(part.sigma is None for part in parts) else np.zeros_like(mu)
        for part in parts:
            mu[part.persons], scores[part.persons], valid[part.persons] = part.mu, part.joint_scores, part.valid
            tried[part.persons] = True
            if sigma is not None:
                assert part.sigma is not None
                sigma[part.persons] = part.sigma
        keypoints, sigma = model.in_picture(mu, sigma, self.dataset.frames())
        return Poses(
            keypoints,
            sigma,
            scores,
            valid,
            image_ids=table.person_image_ids(),
            category_ids=table.category_ids,
            box_score=table.box_score,
            frame_wh=self.dataset.scale,
            person_ids=table.person_ids if self.labelled else None,
            unread_images=tuple(sorted(self._missing | set(table.person_image_ids()[tried & ~valid].tolist()))),
        )


def _on_host(persons: NDArray[np.int64], valid: NDArray[np.bool_], output: PoseOutput) -> _Part:
    sigma = None if output.sigma is None else output.sigma.cpu().numpy()
    return _Part(persons, output.mu.cpu().numpy(), sigma, joint_scores(output).cpu().numpy(), valid)
