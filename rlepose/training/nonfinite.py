"""Detect NaN and infinity, and name the first person with such a loss, without waiting for the device at each step."""

import logging
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from rlepose.errors import DivergedError
from rlepose.runtime.distributed import Ranks
from rlepose.training.saving import BackgroundSaver

log = logging.getLogger(__name__)


class NonFinite:
    """Remember the first person whose loss was not finite. Checks are collective and wait for the device.

    describe_person: returns a description of a person by number, for messages. checkpoint: the checkpoint to go back
    to, which `saver` writes.
    changed_data: how the data differ from those before the run was resumed, as text; '' if they do not.
    """

    def __init__(
        self, describe_person: Callable[[int], str], ranks: Ranks, checkpoint: Path, saver: BackgroundSaver
    ) -> None:
        self._describe_person = describe_person
        self._ranks = ranks
        self._checkpoint = checkpoint
        self._saver = saver
        self._first = torch.full((), -1, device=ranks.device)
        self.changed_data = ""

    def see(self, losses: Tensor, persons: Tensor) -> None:
        """Record losses (P,) of persons (P,), by number. Does not wait for the device."""
        somebody = torch.where(losses.isfinite(), -1, persons).max()
        self._first = torch.where(self._first < 0, somebody, self._first)

    def report_skipped(self, steps: int, before: int) -> None:
        """Log a warning if steps were skipped."""
        if steps:
            log.warning(
                "skipped %d steps before step %d: loss or gradient was not finite, %s", steps, before, self._whose()
            )

    def check_loss(self, loss: float, before: int) -> None:
        """Raise DivergedError if the mean loss of the last steps is not finite."""
        if not math.isfinite(loss):
            raise self.diverged(f"the loss became NaN or infinite before step {before}, {self._whose()}")

    def check_weights(self, weights: Iterable[Tensor], step: int) -> None:
        """Raise DivergedError if a weight or a running statistic is not finite: skipped steps also update the latter.

        Each rank has its own batch statistics, but all must raise, because the next collective call needs all of them.
        """
        wrong = ~torch.stack([weight.isfinite().all() for weight in weights]).all()
        if self._ranks.sum(wrong.int()):
            raise self.diverged(f"weights or batch statistics became NaN or infinite by step {step}, {self._whose()}")

    def diverged(self, what: str) -> DivergedError:
        """Return the error that ends a run, with the last good checkpoint and the options to change."""
        self._saver.wait()
        saved = f"; {self._checkpoint} was saved before" if self._checkpoint.exists() else ""
        mend = "lower train.optimizer.lr or set train.clip_grad_norm"
        if self.changed_data:
            mend = (
                f"the run was resumed on other data ({self.changed_data}), so check these labels first, or else {mend}"
            )
        return DivergedError(f"{what}{saved}; {mend}")

    def _whose(self) -> str:
        """Describe the first person over all ranks whose loss was not finite, and reset."""
        first = next((person for person in self._ranks.gather(int(self._first)) if person >= 0), None)
        self._first = torch.full_like(self._first, -1)
        if first is None:
            return "but all losses were finite: only the gradient was not"
        return f"first seen in the loss of {self._describe_person(first)}"
