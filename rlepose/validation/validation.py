"""A validation: where poses come from, and what judges them."""

import logging
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from rlepose.datasets.persons import PersonTable
from rlepose.pose.pose_arrays import Poses
from rlepose.runtime.distributed import Ranks
from rlepose.validation.evaluator import Evaluator, Results

log = logging.getLogger(__name__)


class PoseSource(Protocol):
    """Where poses come from: the persons of a table, as a trained network sees them."""

    @property
    def table(self) -> PersonTable:
        """The persons."""

    def predict(self, model: Any, batches: int | None = None) -> Poses:
        """Poses of all persons, gathered from all ranks; every rank has to call.

        model: what predicts, of the source's own task. batches: predict only so many on each rank; the persons of all
        others are not valid.
        """


@dataclass(frozen=True)
class Validation(Generic[Results]):
    """Poses of a source, judged by an evaluator."""

    source: PoseSource
    evaluator: Evaluator[Results]
    ranks: Ranks

    @property
    def table(self) -> PersonTable:
        """The persons whose poses are predicted."""
        return self.source.table

    def run(self, model: Any, batches: int | None = None) -> tuple[dict[str, Any], Results | None, Poses]:
        """Metrics by name, results (None on other ranks than 0), and the poses they were made of.

        Where pictures could not be read, the metrics are of the others, and 'unread_pictures' says how many there are.
        Every rank has to call. model, batches: as in `PoseSource.predict`.
        """
        poses = self.source.predict(model, batches)
        results: Results | None = None

        def evaluate() -> dict[str, Any]:
            nonlocal results
            metrics, results = self.evaluator.evaluate(poses)
            if poses.unread_images:
                log.warning(
                    "%s: the numbers are partial: %d pictures could not be read and are left out",
                    *(self.evaluator.path, len(poses.unread_images)),
                )
                metrics |= {f"{self.evaluator.prefix}/unread_pictures": len(poses.unread_images)}
            return metrics

        return self.ranks.on_main(evaluate), results, poses
