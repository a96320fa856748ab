"""A whole experiment: the sections of all packages in one tree. reading.py fills it from YAML."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlepose.datasets.options import AugmentConfig, DataConfig
from rlepose.errors import InputError
from rlepose.losses.options import AnyLoss, RLEConfig
from rlepose.models.options import AnyModel, TopDownModelConfig
from rlepose.options import option, path_option, section
from rlepose.runtime.options import SystemConfig
from rlepose.training.options import TrainConfig
from rlepose.validation.options import EvalConfig


@dataclass(frozen=True)
class Config:
    """A whole experiment."""

    name: str = option("", "folder of the experiment in `output_dir`; default: the name of the config file")
    output_dir: str = path_option("exp", "folder of all experiments")
    data: DataConfig = section(DataConfig)
    augment: AugmentConfig = section(AugmentConfig)
    model: AnyModel = section(TopDownModelConfig)
    loss: AnyLoss = section(RLEConfig)
    train: TrainConfig = section(TrainConfig)
    eval: EvalConfig = section(EvalConfig)
    system: SystemConfig = section(SystemConfig)

    @property
    def task(self) -> str:
        """Name of the task: a key of `TASKS` in jobs/train.py."""
        return self.model.name

    @property
    def top_down(self) -> TopDownModelConfig:
        """The network of crops; InputError if the config's network has other inputs."""
        if not isinstance(self.model, TopDownModelConfig):
            raise InputError(
                f"model.name: {self.model.name} reads no pictures, which this command needs; use a config or "
                "checkpoint with model.name=top_down"
            )
        return self.model

    @property
    def dims(self) -> int:
        """Coordinates per joint: 2, or 3 with depth."""
        return 3 if self.data.format == "h36m" else 2

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers: for YAML, JSON and checkpoints."""
        return plain(dataclasses.asdict(self))


def plain(value: Any) -> Any:
    """Return an option's value, or a tree of values, with lists instead of tuples, as in JSON."""
    if isinstance(value, Mapping):
        return {key: plain(below) for key, below in value.items()}
    if isinstance(value, tuple | list):
        return [plain(below) for below in value]
    return value
