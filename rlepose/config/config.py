"""A whole experiment: the sections of all packages in one tree. reading.py fills it from YAML."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlepose.datasets.options import AugmentConfig, DataConfig
from rlepose.losses.options import AnyLoss, RLEConfig
from rlepose.models.options import ModelConfig
from rlepose.options import option, section
from rlepose.runtime.options import SystemConfig
from rlepose.training.options import TrainConfig
from rlepose.validation.options import EvalConfig


@dataclass(frozen=True)
class Config:
    """A whole experiment."""

    name: str = option("", "the experiment's folder below `output_dir`; set from the file's name")
    output_dir: str = option("exp", "where experiments are stored")
    data: DataConfig = section(DataConfig)
    augment: AugmentConfig = section(AugmentConfig)
    model: ModelConfig = section(ModelConfig)
    loss: AnyLoss = section(RLEConfig)
    train: TrainConfig = section(TrainConfig)
    eval: EvalConfig = section(EvalConfig)
    system: SystemConfig = section(SystemConfig)

    @property
    def dims(self) -> int:
        """Coordinates of a joint: 2, or 3 with depth."""
        return 3 if self.data.format == "h36m" else 2

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers: for YAML, JSON and checkpoints."""
        return plain(dataclasses.asdict(self))


def plain(value: Any) -> Any:
    """An option's value, or a tree of them, with a list for each tuple, as JSON has it."""
    if isinstance(value, Mapping):
        return {key: plain(below) for key, below in value.items()}
    if isinstance(value, tuple | list):
        return [plain(below) for below in value]
    return value
