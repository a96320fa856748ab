"""What every group of rows is given."""

from dataclasses import dataclass
from pathlib import Path

from official import Official


@dataclass(frozen=True)
class Bench:
    """data: COCO in its layout. quick: sizes at which numbers mean nothing. folder: to write into, removed later."""

    data: Path
    quick: bool
    official: Official
    folder: Path

    def size(self, full: int, quick: int) -> int:
        """The full size, or with --quick the small one."""
        return quick if self.quick else full
