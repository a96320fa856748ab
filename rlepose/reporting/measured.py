"""Measurements for a report that experiments of all tasks have."""

from dataclasses import dataclass
from typing import Any

from rlepose.config.config import Config
from rlepose.evaluation.calibration import Observations
from rlepose.losses import LocationScale
from rlepose.reporting.gallery import Gallery


@dataclass(frozen=True)
class Uncertainty:
    """Output of `rlepose validate --calibration`, and the learned density."""

    observations: Observations
    report: dict[str, Any]
    likelihood: LocationScale


@dataclass(frozen=True)
class Measured:
    """One experiment of a report.

    joints: names of all joints. density_joints: names, as the learned density numbers them.
    epoch: None for a converted checkpoint.
    history: lines of metrics.jsonl. metrics: of the validation with each source of boxes. persons: number validated.
    ranking: risk-coverage, None if all confidences are equal. risk: name of the risk.
    uncertainty: or the reason why there is none.
    Everything except metrics and history is for annotated boxes.
    """

    name: str
    config: Config
    joints: tuple[str, ...]
    density_joints: tuple[str, ...]
    epoch: int | None
    history: list[dict[str, Any]]
    metrics: dict[str, Any]
    persons: int
    ranking: dict[str, Any] | None
    risk: str
    uncertainty: Uncertainty | str
    galleries: list[Gallery]

    @property
    def curves(self) -> dict[str, str]:
        """Metrics of metrics.jsonl to plot as learning curves: title -> name."""
        return {}
