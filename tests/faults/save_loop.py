"""Run by the tests: saves checkpoints without end, number 1, 2, 3, …, until it is killed. Argument: the folder."""

import sys
from pathlib import Path

import torch

from rlepose.config import Config
from rlepose.engine.checkpoint import Checkpoint, save_checkpoint
from rlepose.skeleton import COCO


def checkpoint(number: int) -> Checkpoint:
    """One of 400 kB whose tensor tells its number throughout."""
    return Checkpoint(
        config=Config(name="loop"),
        skeleton=COCO,
        model={"weight": torch.full((100_000,), float(number))},
        criterion={},
        progress={"epoch": number},
        metrics={},
        optimizer={},
        random_states=[],
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    number = 0
    while True:
        number += 1
        save_checkpoint(folder / "last.pt", checkpoint(number), folder / "previous.pt")
        print(number, flush=True)
