"""Average the loss over many steps, without waiting for the device at each step, and across a resume."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rlepose.runtime.distributed import Ranks


class Taken(NamedTuple):
    """loss: sum over the steps taken; terms: the same for each named term. taken: number of steps taken. steps: number
    of all steps, including skipped ones."""

    loss: float
    taken: int
    steps: int
    terms: dict[str, float]


class LossSums:
    """Sums of losses since the last log entry, on each rank's device, and over the epoch so far, for all ranks.

    term_names: the named terms to sum in addition to the loss.
    """

    def __init__(self, ranks: Ranks, term_names: Sequence[str] = ()) -> None:
        self._ranks = ranks
        self._term_names = term_names
        self.start_epoch()

    def start_epoch(self) -> None:
        self._interval = torch.zeros(2 + len(self._term_names), device=self._ranks.device)
        self._steps = 0
        self._epoch = torch.zeros(2, dtype=torch.float64)

    def add(self, loss_taken_terms: Tensor) -> None:
        """Add the output (2 + T,) of `Trainer.step`."""
        self._interval += loss_taken_terms
        self._steps += 1

    def end_interval(self) -> Taken:
        """Return the sums since the last call. Collective: every rank must call. Waits for the device."""
        sums = self._ranks.sum(self._interval).cpu() / self._ranks.world_size
        self._epoch += sums[:2]
        terms = dict(zip(self._term_names, sums[2:].tolist(), strict=True))
        result = Taken(float(sums[0]), round(float(sums[1])), self._steps, terms)
        self._interval.zero_()
        self._steps = 0
        return result

    def epoch_mean(self) -> float | None:
        """Return the mean loss of the epoch's logged steps; None if no step was taken."""
        loss, taken = self._epoch.tolist()
        return loss / taken if taken else None

    def state(self) -> dict[str, Any]:
        """Return plain numbers from which `resume` continues bit-identically. Collective: every rank must call."""
        return {
            "interval": self._ranks.gather(self._interval.tolist()),
            "steps": self._steps,
            "epoch": self._epoch.tolist(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from the output of `state`; with another number of ranks, each gets the mean of the former ranks."""
        of_ranks = torch.tensor(state["interval"])
        own = of_ranks[self._ranks.rank] if len(of_ranks) == self._ranks.world_size else of_ranks.mean(0)
        # Checkpoints of older versions have no sums of terms; these begin with the next step.
        self._interval = nn.functional.pad(own, (0, 2 + len(self._term_names) - len(own))).to(self._ranks.device)
        self._steps = state["steps"]
        self._epoch = torch.tensor(state["epoch"], dtype=torch.float64)
