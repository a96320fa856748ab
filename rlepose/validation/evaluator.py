"""Evaluators: from `Poses` of any source and the labels of a file to metrics, files and pictures."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.persons import PersonTable
from rlepose.drawing.overlays import Picture, sheet
from rlepose.errors import InputError
from rlepose.evaluation.calibration import Compared
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import Skeleton

Results = TypeVar("Results")


def metric_text(value: float | None) -> str:
    """Format a metric: four decimals, whole numbers without decimals, a dash if undefined."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


class Evaluator(ABC, Generic[Results]):
    """Evaluates poses against the labels of an annotation file.

    selected_by: the metric that selects the best checkpoint, unless `train.select_by` is set.
    errors: names of metrics for which lower is better.
    columns: of a sheet of drawn persons.
    quality: name of the quality of one pose. risk: name of a number that is lower for better poses.
    number_prefix: prefix of names of metrics about uncertainty.
    path: the annotation file. prefix: 'gt' or 'det', for the source of boxes; used in names of written files.
    """

    selected_by: ClassVar[str]
    errors: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[int]
    quality: ClassVar[str]
    risk: ClassVar[str]
    number_prefix: ClassVar[str] = ""
    path: Path
    skeleton: Skeleton
    prefix: str = "gt"

    @property
    @abstractmethod
    def labels(self) -> PersonTable:
        """The persons in whose boxes poses are predicted; undefined for poses in detected boxes."""

    @property
    @abstractmethod
    def selectable(self) -> tuple[str, ...]:
        """Names of metrics over all persons, any of which can select the best checkpoint."""

    @abstractmethod
    def evaluate(self, poses: Poses) -> tuple[dict[str, Any], Results]:
        """Return metrics by name, and the results from which they were computed."""

    @property
    @abstractmethod
    def density_joints(self) -> tuple[str, ...]:
        """Names of the joints as the network's density numbers them."""

    @abstractmethod
    def compared(self, poses: Poses, chosen: NDArray[np.bool_]) -> Compared:
        """Return the poses `chosen` (N,) with their labels, in the coordinates whose density the network predicts."""

    @abstractmethod
    def write(self, out: Path, results: Results) -> None:
        """Write the results to a file in the folder `out`."""

    @abstractmethod
    def title(self, pose: int, poses: Poses) -> str:
        """Return the title of a pose's picture."""

    @abstractmethod
    def draw(self, pose: int, poses: Poses, std: Floats | None, title: str) -> Picture:
        """Draw a pose beside the labels of its person. std (N, K, D): standard deviations in px, and mm."""

    @staticmethod
    @abstractmethod
    def format_table(metrics: dict[str, Any]) -> str:
        """Format the metrics as text."""

    def rows(self, poses: Poses) -> NDArray[np.intp]:
        """Return (N,) the row of each pose's person in `labels`; InputError for an unknown person."""
        ids, wanted = self.labels.person_ids, poses.person_ids
        if wanted is None:
            raise InputError(
                f"{self.path}: these poses have no annotation ids to find their labels; use annotated boxes"
            )
        if np.array_equal(wanted, ids):
            return np.arange(len(ids))
        order = np.argsort(ids, kind="stable")
        rows = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)]
        unknown = wanted[ids[rows] != wanted]
        if len(unknown):
            raise InputError(f"{self.path}: no labelled person {unknown[0]}; use the annotation file of the poses")
        return rows

    def better(self, name: str, value: float | None, best: float | None) -> bool:
        """Return whether a value of the metric `name` is better than the best so far."""
        if best is None or value is None:
            return best is None
        return value < best if name in self.errors else value > best

    def pictures(self, poses: Poses, spread: Floats, count: int) -> Picture | None:
        """Draw truth and prediction for `count` poses, spread evenly over all; None if there are none.

        Half axes of ellipses are one standard deviation: sigma times the spread (K, D) of the joints' densities.
        """
        valid = np.flatnonzero(poses.valid)
        if self.prefix != "gt" or not count or not len(valid):
            return None
        chosen = valid[np.unique(np.linspace(0, len(valid) - 1, min(count, len(valid))).astype(int))]
        tiles = self.drawn(poses, spread, chosen, [self.title(int(pose), poses) for pose in chosen])
        return sheet(tiles, min(self.columns, len(tiles)))

    def drawn(self, poses: Poses, spread: Floats, chosen: NDArray[np.intp], titles: Sequence[str]) -> list[Picture]:
        """Draw truth and prediction for each of the chosen poses, with a title each; ellipses as in `pictures`."""
        std = None if poses.sigma is None else poses.sigma * spread
        return [self.draw(int(pose), poses, std, title) for pose, title in zip(chosen, titles, strict=True)]
