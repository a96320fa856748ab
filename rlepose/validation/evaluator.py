"""What judges poses: from `Poses` of anybody and the labels of a file to numbers, files and pictures."""

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
    """A metric to be read: four decimals, a whole number as it is, a dash for one that is not defined."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


class Evaluator(ABC, Generic[Results]):
    """Judges poses by the labels of an annotation file.

    selected_by: the number that chooses the best checkpoint where `train.select_by` does not say otherwise.
    errors: names of numbers that are better the lower they are.
    columns: of a sheet of drawn persons.
    quality: name of the number that says how good one pose is. risk: what is lower the better it is, in words.
    number_prefix: what names of numbers about uncertainty begin with.
    path: of the annotation file. prefix: 'gt' or 'det', whose boxes the persons are in; part of written files' names.
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
        """The persons in whose boxes poses are predicted; for poses in a detector's boxes there are none."""

    @property
    @abstractmethod
    def selectable(self) -> tuple[str, ...]:
        """Names of the metrics of all persons, any of which can choose the best checkpoint."""

    @abstractmethod
    def evaluate(self, poses: Poses) -> tuple[dict[str, Any], Results]:
        """Metrics by name, and the results that they were computed from."""

    @property
    @abstractmethod
    def density_joints(self) -> tuple[str, ...]:
        """Names of the joints as the network's density numbers them."""

    @abstractmethod
    def compared(self, poses: Poses, chosen: NDArray[np.bool_]) -> Compared:
        """Some poses, chosen (N,), beside their labels, in the coordinates whose density the network predicts."""

    @abstractmethod
    def write(self, out: Path, results: Results) -> None:
        """Write the results as a file into the folder `out`."""

    @abstractmethod
    def title(self, pose: int, poses: Poses) -> str:
        """What to write on the picture of a pose."""

    @abstractmethod
    def draw(self, pose: int, poses: Poses, std: Floats | None, title: str) -> Picture:
        """A pose beside the labels of its person. std (N, K, D): standard deviations in px, and mm."""

    @staticmethod
    @abstractmethod
    def format_table(metrics: dict[str, Any]) -> str:
        """The metrics as text, to be read."""

    def rows(self, poses: Poses) -> NDArray[np.intp]:
        """(N,) the row of each pose's person in `labels`; InputError for a person who is not there."""
        ids, wanted = self.labels.person_ids, poses.person_ids
        if wanted is None:
            raise InputError(f"{self.path}: these poses name no annotation, so they cannot be compared with labels")
        if np.array_equal(wanted, ids):
            return np.arange(len(ids))
        order = np.argsort(ids, kind="stable")
        rows = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)]
        unknown = wanted[ids[rows] != wanted]
        if len(unknown):
            raise InputError(f"{self.path}: has no labelled person {unknown[0]}, whose pose was to be judged")
        return rows

    def better(self, name: str, value: float | None, best: float | None) -> bool:
        """Whether a value of the metric `name` beats the best so far."""
        if best is None or value is None:
            return best is None
        return value < best if name in self.errors else value > best

    def pictures(self, poses: Poses, spread: Floats, count: int) -> Picture | None:
        """Truth beside prediction for `count` poses, spread evenly over all; None if there are none.

        The ellipses' half axes are one standard deviation: sigma times the spread (K, D) of the joints' densities.
        """
        valid = np.flatnonzero(poses.valid)
        if self.prefix != "gt" or not count or not len(valid):
            return None
        chosen = valid[np.unique(np.linspace(0, len(valid) - 1, min(count, len(valid))).astype(int))]
        tiles = self.drawn(poses, spread, chosen, [self.title(int(pose), poses) for pose in chosen])
        return sheet(tiles, min(self.columns, len(tiles)))

    def drawn(self, poses: Poses, spread: Floats, chosen: NDArray[np.intp], titles: Sequence[str]) -> list[Picture]:
        """Truth beside prediction for each of the chosen poses, with its title; ellipses as in `pictures`."""
        std = None if poses.sigma is None else poses.sigma * spread
        return [self.draw(int(pose), poses, std, title) for pose, title in zip(chosen, titles, strict=True)]
