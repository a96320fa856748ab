"""The folder of one experiment: exp/<name>/."""

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rlepose.errors import InputError

if TYPE_CHECKING:  # all packages' options, which a trainer needs none of
    from rlepose.config.config import Config


@dataclass(frozen=True)
class Experiment:
    """The folder: config.yaml, starts.jsonl, train.log, metrics.jsonl, trace.json, lock, tensorboard/, checkpoints/,
    results/."""

    folder: Path

    @classmethod
    def of(cls, config: "Config") -> "Experiment":
        return cls(Path(config.output_dir) / config.name)

    @property
    def log_file(self) -> Path:
        return self.folder / "train.log"

    @property
    def starts(self) -> Path:
        """A line of JSON for each time that training began or went on here."""
        return self.folder / "starts.jsonl"

    @property
    def last(self) -> Path:
        return self.folder / "checkpoints" / "last.pt"

    @property
    def previous(self) -> Path:
        """The `last` of before, for when that is damaged."""
        return self.folder / "checkpoints" / "previous.pt"

    @property
    def best(self) -> Path:
        return self.folder / "checkpoints" / "best.pt"

    def kept(self, epoch: int) -> Path:
        """The checkpoint of this many finished epochs, where such are asked for (`train.keep_every`)."""
        return self.folder / "checkpoints" / f"epoch_{epoch}.pt"

    @property
    def trace(self) -> Path:
        return self.folder / "trace.json"

    def check(self, resume: bool, overwrite: bool, requeue: bool = False) -> None:
        """InputError where a run would mix with, or silently replace, what is in the folder.

        requeue: resume where there is something to go on from; else begin, unless that deletes results.
        """
        numbers = self.folder / "metrics.jsonl"
        goes_on = self.has_checkpoint()
        kept = self.has_results()
        # A run that ended before its first number, by a wrong option say, left nothing to protect.
        numbered = numbers.exists() and numbers.stat().st_size > 0
        in_the_way = kept and not goes_on if requeue else goes_on or kept or numbered
        if resume and not goes_on:
            raise InputError(f"--resume: there is no checkpoint {self.last}; use --overwrite or --name NAME instead")
        if self.folder.exists() and not self._is_experiment() and self._content():
            raise InputError(f"{self.folder} is not empty and holds no experiment; pass --name NAME for another folder")
        if in_the_way and not resume and not overwrite:
            raise InputError(
                f"{self.folder} holds an earlier run; pass {'--resume to go on with it, ' * goes_on}--overwrite to "
                "delete it, or --name NAME to keep both"
            )

    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return self.last.exists() or self.previous.exists()

    def has_results(self) -> bool:
        """Whether there is something of value beside what a run goes on from."""
        results = self.best, self.folder / "results", *self.best.parent.glob("epoch_*.pt")
        return any(path.exists() for path in results)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from running in the folder; InputError where one does.

        A lock of the process, which neither outlives it nor passes on to the workers that it starts.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._lock.open("a+")
        except OSError as error:  # a file in the way, a read-only file system
            raise InputError(
                f"{self.folder}: cannot write there ({error.strerror}); set output_dir to a folder where you may"
            ) from error
        with lock as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{self.folder}: another run is at work here; wait for it, or pass --name NAME for another folder"
                ) from error
            except OSError as error:  # a network file system without its lock daemon, say
                raise InputError(
                    f"{self._lock}: the file system gives no locks ({error.strerror}), so two runs in one folder would "
                    "not notice each other; set output_dir to a folder on another one"
                ) from error
            yield

    def open(self, config: "Config", resume: bool) -> None:
        """Make the folder, without what an earlier run left unless it is resumed, and store the config."""
        if not resume and self._is_experiment():
            for path in self._content():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(config.to_dict(), sort_keys=False)
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")

    def note_start(self, start: Mapping[str, Any]) -> None:
        """Add a line to `starts`: what computes from now on."""
        with self.starts.open("a", encoding="utf-8") as file:
            file.write(json.dumps(start) + "\n")

    @property
    def _lock(self) -> Path:
        return self.folder / "lock"

    def _content(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path != self._lock]

    def _is_experiment(self) -> bool:
        return (self.folder / "config.yaml").exists()
