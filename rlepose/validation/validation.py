"""A validation: where poses come from, and what judges them."""

from dataclasses import dataclass
from typing import Any, Generic

from rlepose.datasets.persons import PersonTable
from rlepose.pose.pose_arrays import Poses
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.trained_model import TrainedModel
from rlepose.validation.evaluator import Evaluator, Results
from rlepose.validation.pose_source import TableSource


@dataclass(frozen=True)
class Validation(Generic[Results]):
    """Poses of a source, judged by an evaluator."""

    source: TableSource
    evaluator: Evaluator[Results]
    ranks: Ranks

    @property
    def table(self) -> PersonTable:
        """The persons whose poses are predicted."""
        return self.source.table

    def run(self, model: TrainedModel, batches: int | None = None) -> tuple[dict[str, Any], Results | None, Poses]:
        """Metrics by name, results (None on other ranks than 0), and the poses they were made of.

        Every rank has to call. batches: as in `TableSource.predict`.
        """
        poses = self.source.predict(model, batches)
        results: Results | None = None

        def evaluate() -> dict[str, Any]:
            nonlocal results
            metrics, results = self.evaluator.evaluate(poses)
            return metrics

        return self.ranks.on_main(evaluate), results, poses
