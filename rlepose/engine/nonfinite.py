"""Finding the person whose loss is NaN or infinite, without waiting for the device at each step."""

import torch
from torch import Tensor

from rlepose.datasets.persons import PersonTable
from rlepose.engine.distributed import Ranks


class NonFinite:
    """Remembers whose loss was not finite, and how many steps were skipped for it."""

    def __init__(self, table: PersonTable, ranks: Ranks) -> None:
        self._table = table
        self._ranks = ranks
        self._first = torch.full((), -1, device=ranks.device)
        self.skipped = 0  # steps since the last call of `whose`, equal on all ranks

    def see(self, losses: Tensor, persons: Tensor) -> None:
        """losses (B,) of persons (B,), rows of the table."""
        somebody = torch.where(losses.isfinite(), -1, persons).max()
        self._first = torch.where(self._first < 0, somebody, self._first)

    def skip(self) -> None:
        """Count a step that was not taken."""
        self.skipped += 1

    def whose(self) -> str:
        """The first person whose loss was not finite, over all ranks, in words. Forgets it; every rank has to call."""
        first = next((person for person in self._ranks.gather(int(self._first)) if person >= 0), None)
        self.skipped, self._first = 0, torch.full_like(self._first, -1)
        if first is None:
            return "though no person's loss was: the gradient alone is to blame"
        return (
            f"first seen in the loss of annotation {self._table.person_ids[first]} in {self._table.image_path(first)}"
        )
