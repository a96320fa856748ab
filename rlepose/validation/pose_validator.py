"""What validations in 2-D and in 3-D have in common: predict all persons, judge the predictions, draw some."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rlepose.drawing.overlays import Picture, sheet
from rlepose.losses import Criterion
from rlepose.pose.geometry import Floats
from rlepose.validation.estimator import Estimator, Predictions

Results = TypeVar("Results")


def metric_text(value: float | None) -> str:
    """A metric to be read: four decimals, a whole number as it is, a dash for one that is not defined."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


class PoseValidator(Estimator, ABC, Generic[Results]):
    """Validation on the persons of an annotation file.

    selected_by: the number that chooses the best checkpoint where `train.select_by` does not say otherwise.
    errors: names of numbers that are better the lower they are.
    path: of the annotation file. prefix: 'gt' or 'det', whose boxes the persons are in; part of written files' names.
    """

    selected_by: ClassVar[str]
    errors: ClassVar[tuple[str, ...]] = ()
    path: Path
    prefix: str = "gt"

    @property
    @abstractmethod
    def selectable(self) -> tuple[str, ...]:
        """Names of the metrics of all persons, any of which can choose the best checkpoint."""

    @abstractmethod
    def evaluate(self, predictions: Predictions) -> tuple[dict[str, Any], Results]:
        """Metrics by name, and the results that they were computed from."""

    @abstractmethod
    def write(self, out: Path, results: Results) -> None:
        """Write the results as a file into the folder `out`."""

    @abstractmethod
    def title(self, person: int, predictions: Predictions) -> str:
        """What to write on the picture of a prediction."""

    @abstractmethod
    def draw(self, person: int, predictions: Predictions, sigma: Floats | None, title: str) -> Picture:
        """A person with the labels and with the prediction. sigma (N, K, D): standard deviations in px, and mm."""

    @staticmethod
    @abstractmethod
    def format_table(metrics: dict[str, Any]) -> str:
        """The metrics as text, to be read."""

    def run(self, model: nn.Module, criterion: Criterion) -> tuple[dict[str, Any], Results | None, Predictions]:
        """Metrics by name, results (None on other ranks than 0), and the predictions they were made of."""
        predictions = self.predict(model, criterion)
        results: Results | None = None

        def evaluate() -> dict[str, Any]:
            nonlocal results
            metrics, results = self.evaluate(predictions)
            return metrics

        return self.ranks.on_main(evaluate), results, predictions

    def better(self, name: str, value: float | None, best: float | None) -> bool:
        """Whether a value of the metric `name` beats the best so far."""
        if best is None or value is None:
            return best is None
        return value < best if name in self.errors else value > best

    def pictures(self, predictions: Predictions, criterion: Criterion, count: int) -> Picture | None:
        """Truth beside prediction for `count` persons, spread evenly over the table; None if there are none.

        The ellipses' half axes are one standard deviation: sigma times the spread that the joint's flow learned.
        """
        persons = np.flatnonzero(predictions.valid)
        if self.prefix != "gt" or not count or not len(persons):
            return None
        chosen = persons[np.unique(np.linspace(0, len(persons) - 1, min(count, len(persons))).astype(int))]
        return self.drawn(predictions, criterion, chosen, [self.title(int(i), predictions) for i in chosen])

    def drawn(
        self, predictions: Predictions, criterion: Criterion, persons: NDArray[np.intp], titles: Sequence[str]
    ) -> Picture:
        """Truth beside prediction for these rows of the table, with a title each; ellipses as in `pictures`."""
        sigma = predictions.sigma
        if sigma is not None:
            sigma = sigma * criterion.residual_spread(len(self.skeleton)).cpu().numpy()
        tiles = [
            self.draw(int(person), predictions, sigma, title) for person, title in zip(persons, titles, strict=True)
        ]
        return sheet(tiles, columns=2 if self.config.dims == 2 else 1)
