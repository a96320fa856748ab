"""Which files one training step runs through: what somebody has to read to follow a crop to its loss."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import torch

from rlepose.config.config import Config
from rlepose.datasets.crops import collate
from rlepose.runtime.distributed import Ranks
from rlepose.tasks.top_down import TopDown

ROOT = Path(__file__).parents[2]
MOST_FILES = 18


def files_run_by(action: Callable[[], object]) -> list[str]:
    """The project's files whose functions are called, in the order of their first calls."""
    seen: dict[str, None] = {}

    def see(frame: FrameType, event: str, argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT / "rlepose"):
            seen[str(path.relative_to(ROOT))] = None

    sys.setprofile(see)
    try:
        action()
    finally:
        sys.setprofile(None)
    return list(seen)


def test_contributing_lists_the_files_of_a_training_step_in_order(tiny_config: Callable[..., Config]) -> None:
    task = TopDown(tiny_config("loss.name=rle"), Ranks(0, 1, torch.device("cpu")))
    files = files_run_by(lambda: task.step(collate([task.dataset[0, person] for person in range(4)])))
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\d+\. \[.*?\]\((rlepose/\S+\.py)\)", text, re.MULTILINE)
    assert files == listed
    assert len(files) <= MOST_FILES
