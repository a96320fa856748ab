"""A process that saves checkpoints without end, until a test kills it."""

from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from rlepose.config.config import Config
from rlepose.pose.skeleton import COCO
from rlepose.runtime.checkpoint import Checkpoint, tree_of
from rlepose.runtime.checkpoint_file import write_tree


def checkpoint(number: int, criterion: dict[str, Any] | None = None) -> Checkpoint:
    """One of 400 kB whose tensor tells its number throughout."""
    return Checkpoint(
        config=Config(name="loop"),
        skeleton=COCO,
        model={"weight": torch.full((100_000,), float(number))},
        criterion=criterion or {},
        progress={"epoch": number},
        metrics={},
        optimizer={},
        random_states=[],
    )


def save_forever(folder: Path, told: "Connection[int, int]") -> None:
    """Save number 1, 2, 3, … and tell of each when it is saved."""
    number = 0
    while True:
        number += 1
        write_tree(folder / "last.pt", tree_of(checkpoint(number)), folder / "previous.pt")
        told.send(number)
