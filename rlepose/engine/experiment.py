"""The folder of one experiment: exp/<name>/."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from rlepose.config import Config
from rlepose.errors import InputError


@dataclass(frozen=True)
class Experiment:
    """Paths below the folder: config.yaml, train.log, metrics.jsonl, tensorboard/, checkpoints/, results/."""

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
    def results(self) -> Path:
        return self.folder / "results"

    def prepare(self, config: Config, resume: bool, overwrite: bool) -> None:
        """Make the folder and store the config, or raise InputError rather than mix two runs."""
        known = (self.folder / "config.yaml").exists()
        # A run that ended before its first number, by a wrong option say, left nothing to protect.
        numbers = self.folder / "metrics.jsonl"
        trained = known and (self.last.exists() or (numbers.exists() and numbers.stat().st_size > 0))
        if resume:
            if not self.last.exists():
                raise InputError(f"--resume: there is no checkpoint {self.last}; start without --resume")
        elif known and (overwrite or not trained):
            shutil.rmtree(self.folder)
        elif trained:
            raise InputError(
                f"{self.folder} holds an earlier run; pass --resume to go on with it, --overwrite to delete it, "
                "or --name NAME to keep both"
            )
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise InputError(f"{self.folder} is not empty and holds no experiment; pass --name NAME for another folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(config.to_dict(), sort_keys=False)
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")
