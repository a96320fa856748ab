"""What a report says of any experiment, whatever its task."""

from dataclasses import dataclass
from typing import Any

from rlepose.config.config import Config
from rlepose.evaluation.calibration import Observations
from rlepose.losses import LocationScale
from rlepose.reporting.gallery import Gallery


@dataclass(frozen=True)
class Uncertainty:
    """What `validate.py --calibration` judges, and the learned density."""

    observations: Observations
    report: dict[str, Any]
    likelihood: LocationScale


@dataclass(frozen=True)
class Measured:
    """One experiment of a report.

    joints: names of all. density_joints: as the learned density numbers them.
    epoch: None for a converted checkpoint.
    history: lines of metrics.jsonl. metrics: of the validation with each kind of boxes. persons: validated ones.
    ranking: risk-coverage, None where all confidences are equal. risk: what it is, in words.
    uncertainty: or, in words, why there is none.
    All but metrics and history with the annotated boxes.
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
        """Names of the numbers of metrics.jsonl whose curves tell how training went, by what to call them."""
        return {}
