"""A validation: a source of poses and an evaluator."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import numpy as np

from rlepose.datasets.persons import PersonTable
from rlepose.pose.pose_arrays import Poses
from rlepose.runtime.distributed import Ranks
from rlepose.validation.evaluator import Evaluator, Results

log = logging.getLogger(__name__)


UNREAD_PERSONS = "unread_persons"


class PoseSource(Protocol):
    """A source of poses: the predictions of a trained network for the persons of a table."""

    @property
    def table(self) -> PersonTable:
        """The persons."""

    def predict(self, model: Any, batches: int | None = None) -> Poses:
        """Return poses of all persons, gathered from all ranks. Collective: every rank must call.

        model: a predictor of the source's task. batches: predict only so many on each rank; the persons of all others
        are not valid.
        """


@dataclass(frozen=True)
class Validation(Generic[Results]):
    """Evaluates the poses of a source."""

    source: PoseSource
    evaluator: Evaluator[Results]
    ranks: Ranks

    @property
    def table(self) -> PersonTable:
        """The persons whose poses are predicted."""
        return self.source.table

    def judged(self, metrics: Mapping[str, Any]) -> tuple[int, dict[str, int]]:
        """Return how many persons gave these metrics, and how many others the file has, by reason."""
        unread = metrics.get(f"{self.evaluator.prefix}/{UNREAD_PERSONS}", 0)
        left_out = dict(self.table.left_out) | ({"in a picture that cannot be read": unread} if unread else {})
        return len(self.table) - unread, left_out

    def run(self, model: Any, batches: int | None = None) -> tuple[dict[str, Any], Results | None, Poses]:
        """Return metrics by name, results (None except on rank 0), and the poses.

        If pictures could not be read, the metrics only cover the others, 'unread_pictures' counts the unread, and
        'unread_persons' the table's persons in these.
        Collective: every rank must call. model, batches: see `PoseSource.predict`.
        """
        poses = self.source.predict(model, batches)
        results: Results | None = None

        def evaluate() -> dict[str, Any]:
            nonlocal results
            metrics, results = self.evaluator.evaluate(poses)
            if poses.unread_images:
                unread = int(np.isin(poses.image_ids, poses.unread_images).sum())
                log.warning(
                    "%s: the numbers are partial: %d pictures could not be read and are left out, with %d persons more",
                    *(self.evaluator.path, len(poses.unread_images), unread),
                )
                prefix = self.evaluator.prefix
                metrics |= {f"{prefix}/unread_pictures": len(poses.unread_images), f"{prefix}/{UNREAD_PERSONS}": unread}
            return metrics

        return self.ranks.on_main(evaluate), results, poses
