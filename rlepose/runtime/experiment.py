"""The folder of an experiment: exp/<name>/."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from rlepose.errors import InputError

if TYPE_CHECKING:  # imports the options of all packages, which a trainer does not need
    from rlepose.config.config import Config


@dataclass(frozen=True)
class Experiment:
    """The folder, with config.yaml, starts.jsonl, train.log, metrics.jsonl, trace.json, lock, tensorboard/,
    checkpoints/ and results/."""

    folder: Path

    @classmethod
    def of(cls, config: "Config") -> "Experiment":
        return cls(Path(config.output_dir) / config.name)

    @property
    def log_file(self) -> Path:
        return self.folder / "train.log"

    @property
    def starts(self) -> Path:
        """File with one line of JSON for each start or resume of training."""
        return self.folder / "starts.jsonl"

    @property
    def last(self) -> Path:
        return self.folder / "checkpoints" / "last.pt"

    @property
    def previous(self) -> Path:
        """The checkpoint before `last`, in case `last` is damaged."""
        return self.folder / "checkpoints" / "previous.pt"

    @property
    def best(self) -> Path:
        return self.folder / "checkpoints" / "best.pt"

    def kept(self, epoch: int) -> Path:
        """Return the path of the checkpoint after this many epochs, if it is kept (`train.keep_every`)."""
        return self.folder / "checkpoints" / f"epoch_{epoch}.pt"

    @property
    def trace(self) -> Path:
        return self.folder / "trace.json"

    def check(self, resume: bool, overwrite: bool, requeue: bool = False) -> None:
        """Raise InputError if a run would mix with, or silently replace, the content of the folder.

        requeue: resume if there is a checkpoint, else start, unless that would delete results.
        """
        numbers = self.folder / "metrics.jsonl"
        goes_on = self.has_checkpoint()
        kept = self.has_results()
        # A run that ended before its first log entry, for example because of a wrong option, left nothing to protect.
        numbered = numbers.exists() and numbers.stat().st_size > 0
        in_the_way = kept and not goes_on if requeue else goes_on or kept or numbered
        if resume and not goes_on:
            raise InputError(f"--resume: no checkpoint {self.last}; use --overwrite or --name NAME instead")
        if self.folder.exists() and not self._is_experiment() and self._content():
            raise InputError(
                f"{self.folder}: not empty, and not the folder of an experiment; choose another with --name NAME"
            )
        if in_the_way and not resume and not overwrite:
            raise InputError(
                f"{self.folder}: contains an earlier run; pass {'--resume to continue it, ' * goes_on}--overwrite to "
                "delete it, or --name NAME to keep both"
            )

    def has_checkpoint(self) -> bool:
        """Return whether there is a checkpoint to resume from."""
        return self.last.exists() or self.previous.exists()

    def has_results(self) -> bool:
        """Return whether there are results besides the checkpoints for resuming."""
        results = self.best, self.folder / "results", *self.best.parent.glob("epoch_*.pt")
        return any(path.exists() for path in results)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from using the folder; InputError if another run uses it.

        The lock belongs to this process: it ends with the process, and loader workers do not inherit it. After an error
        before `open`, the lock and the folders that were made for it are removed.
        """
        made = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        with self._locked():
            try:
                yield
            except BaseException:
                if not self._content():
                    self._lock.unlink()
                    with contextlib.suppress(OSError):  # another run has begun below one of them
                        for folder in made:
                            folder.rmdir()
                raise

    def _locked(self) -> IO[str]:
        """Return the open lock file, locked by this process; make the folder if it does not exist."""
        while True:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                file = self._lock.open("a+")
            except FileNotFoundError:  # another run has removed its folder meanwhile
                if self.folder.is_symlink():  # a link to nothing
                    raise
                continue
            except OSError as error:  # for example a file of this name, or a read-only file system
                raise InputError(
                    f"{self.folder}: cannot write there ({error.strerror}); set output_dir to a writable folder"
                ) from error
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.close()
                if isinstance(error, BlockingIOError):
                    raise InputError(
                        f"{self.folder}: another run uses this folder; wait for it, or choose another with --name NAME"
                    ) from error
                raise InputError(  # for example a network file system without a lock daemon
                    f"{self._lock}: the file system supports no locks ({error.strerror}), so two runs in one folder "
                    "would go unnoticed; set output_dir to a folder on another file system"
                ) from error
            if self._lock.exists() and os.path.samestat(self._lock.stat(), os.fstat(file.fileno())):
                return file
            file.close()  # another run has removed this lock meanwhile

    def open(self, config: "Config", resume: bool) -> None:
        """Create the folder and store the config; delete files of an earlier run unless it is resumed."""
        if not resume and self._is_experiment():
            for path in self._content():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(config.to_dict(), sort_keys=False)
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")

    def note_start(self, start: Mapping[str, Any]) -> None:
        """Append a line to `starts`: commit, versions and device from now on."""
        with self.starts.open("a", encoding="utf-8") as file:
            file.write(json.dumps(start) + "\n")

    @property
    def _lock(self) -> Path:
        return self.folder / "lock"

    def _content(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path != self._lock]

    def _is_experiment(self) -> bool:
        return (self.folder / "config.yaml").exists()


def results_folder(checkpoint: Path) -> Path:
    """Return the folder for results of a checkpoint: results/ beside checkpoints/, or beside a file elsewhere."""
    folder = checkpoint.absolute().parent
    return (folder.parent if folder.name == "checkpoints" else folder) / "results"


def exports_folder(checkpoint: Path) -> Path:
    """Return the folder for exports of a checkpoint: export/ beside its results."""
    return results_folder(checkpoint).with_name("export")
