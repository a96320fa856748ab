"""NaN and infinity: whose loss was the first, found without waiting for the device at each step, and what to say."""

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
    """Remembers whose loss was not finite. Every rank has to call its checks; they wait for the device.

    describe_person: who a person's number means, for messages. checkpoint: what to go back to, saved by `saver`.
    """

    def __init__(
        self, describe_person: Callable[[int], str], ranks: Ranks, checkpoint: Path, saver: BackgroundSaver
    ) -> None:
        self._describe_person = describe_person
        self._ranks = ranks
        self._checkpoint = checkpoint
        self._saver = saver
        self._first = torch.full((), -1, device=ranks.device)

    def see(self, losses: Tensor, persons: Tensor) -> None:
        """losses (P,) of persons (P,), by number. Does not wait for the device."""
        somebody = torch.where(losses.isfinite(), -1, persons).max()
        self._first = torch.where(self._first < 0, somebody, self._first)

    def report_skipped(self, steps: int, before: int) -> None:
        """Warn of steps that were not taken."""
        if steps:
            log.warning(
                "skipped %d steps before step %d: loss or gradient was not finite, %s", steps, before, self._whose()
            )

    def check_loss(self, loss: float, before: int) -> None:
        """DivergedError if the mean loss of the last steps is not finite."""
        if not math.isfinite(loss):
            raise self.diverged(f"the loss became NaN or infinite before step {before}, {self._whose()}")

    def check_weights(self, weights: Iterable[Tensor], step: int) -> None:
        """DivergedError if a weight, or a running statistic, is not finite: a skipped step still counts in those.

        Each rank has batch statistics of its own, but all of them have to raise: the next call is for all, too.
        """
        wrong = ~torch.stack([weight.isfinite().all() for weight in weights]).all()
        if self._ranks.sum(wrong.int()):
            raise self.diverged(f"weights or batch statistics became NaN or infinite by step {step}, {self._whose()}")

    def diverged(self, what: str) -> DivergedError:
        """The error that ends a run, with what is left of it and what to try."""
        self._saver.wait()
        saved = f"; {self._checkpoint} is from before" if self._checkpoint.exists() else ""
        return DivergedError(f"{what}{saved}; lower train.optimizer.lr or set train.clip_grad_norm")

    def _whose(self) -> str:
        """The first person whose loss was not finite, over all ranks, in words. Forgets it."""
        first = next((person for person in self._ranks.gather(int(self._first)) if person >= 0), None)
        self._first = torch.full_like(self._first, -1)
        if first is None:
            return "though no person's loss was: the gradient alone is to blame"
        return f"first seen in the loss of {self._describe_person(first)}"
