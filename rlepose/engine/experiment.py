"""The folder of one experiment: exp/<name>/."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from rlepose.config import Config
from rlepose.errors import InputError


@dataclass(frozen=True)
class Experiment:
    """The folder: config.yaml, train.log, metrics.jsonl, trace.json, tensorboard/, checkpoints/, results/."""

    folder: Path

    @classmethod
    def of(cls, config: Config) -> "Experiment":
        return cls(Path(config.output_dir) / config.name)

    @property
    def log_file(self) -> Path:
        return self.folder / "train.log"

    @property
    def last(self) -> Path:
        return self.folder / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        return self.folder / "checkpoints" / "best.pt"

    @property
    def trace(self) -> Path:
        return self.folder / "trace.json"

    def check(self, resume: bool, overwrite: bool) -> None:
        """InputError where a run would mix with, or silently replace, what is in the folder."""
        numbers = self.folder / "metrics.jsonl"
        # A run that ended before its first number, by a wrong option say, left nothing to protect.
        trained = self.last.exists() or (numbers.exists() and numbers.stat().st_size > 0)
        if resume and not self.last.exists():
            raise InputError(f"--resume: there is no checkpoint {self.last}; use --overwrite or --name NAME instead")
        if self.folder.exists() and not self._is_experiment() and any(self.folder.iterdir()):
            raise InputError(f"{self.folder} is not empty and holds no experiment; pass --name NAME for another folder")
        if trained and not resume and not overwrite:
            raise InputError(
                f"{self.folder} holds an earlier run; pass --resume to go on with it, --overwrite to delete it, "
                "or --name NAME to keep both"
            )

    def open(self, config: Config, resume: bool) -> None:
        """Make the folder, without what an earlier run left unless it is resumed, and store the config."""
        if not resume and self._is_experiment():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(config.to_dict(), sort_keys=False)
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")

    def _is_experiment(self) -> bool:
        return (self.folder / "config.yaml").exists()
