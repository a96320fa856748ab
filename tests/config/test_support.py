"""The table of what goes together: each of its cells works, and every other one is refused with a sentence."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.config.support import SUPPORT, exports_of, refusal
from rlepose.config.support_page import COMMAND, support_page
from rlepose.datasets.crops import CropBatch
from rlepose.errors import InputError
from rlepose.export.choices import FORMAT_NAMES
from rlepose.jobs.train import TASKS
from rlepose.losses import LOSSES, build_criterion
from rlepose.losses.options import AnyLoss
from rlepose.models.heads import HEADS
from rlepose.models.options import AnyHead, MapHeadConfig, TopDownModelConfig
from rlepose.models.pose_model import network_of
from rlepose.options import variants
from rlepose.tasks.top_down_step import TopDownStep

JOINTS = 18
PAGE = Path(__file__).parents[2] / "docs" / "support.md"
CELLS = [
    (task, head, loss, dims)
    for task in TASKS
    for head in (HEADS if task == "top_down" else [None])
    for loss, dims in itertools.product(LOSSES, (2, 3))
]
SUPPORTED = [cell for cell in CELLS if refusal(*cell) is None]
REFUSED = [cell for cell in CELLS if refusal(*cell) is not None]


def config_of(task: str, head: str | None, loss: str, dims: int) -> Config:
    model: dict[str, Any] = {"name": task}
    if head is not None:
        options = {"deconv_width": 8} if issubclass(variants(AnyHead)[head], MapHeadConfig) else {}
        model |= {"backbone": {"name": "resnet10t", "pretrained": False}, "head": {"name": head, **options}}
    data = {"format": "h36m" if dims == 3 else "coco"}
    return config_from_dict({"name": "cell", "data": data, "model": model, "loss": {"name": loss}})


def test_the_table_names_every_task_head_and_loss_once() -> None:
    assert {row.task for row in SUPPORT} == set(TASKS)
    assert {row.head for row in SUPPORT} == {*HEADS, None}
    assert {loss for row in SUPPORT for loss in row.losses} == set(LOSSES) == set(variants(AnyLoss))
    cells = [(row.task, row.head, loss, dims) for row in SUPPORT for loss in row.losses for dims in row.dims]
    assert len(cells) == len(set(cells)) == len(SUPPORTED)
    assert {file_format for row in SUPPORT for file_format in row.exports} == set(FORMAT_NAMES)


@pytest.mark.parametrize("cell", SUPPORTED, ids=str)
def test_what_goes_together_takes_a_step(cell: tuple[str, str | None, str, int]) -> None:
    config = config_of(*cell)
    if not isinstance(config.model, TopDownModelConfig):
        return  # tests/tasks/test_lifting.py trains each loss
    step = TopDownStep(network_of(config, JOINTS, False), build_criterion(config.loss, JOINTS, config.dims))
    image, target = torch.zeros(2, 3, 64, 64, dtype=torch.uint8), torch.zeros(2, JOINTS, config.dims)
    losses = step(CropBatch.of_tensors(image, target, torch.ones_like(target))).per_person
    losses.sum().backward()
    assert losses.shape == (2,) and losses.isfinite().all()
    assert all(parameter.grad is not None for parameter in step.model.parameters())


@pytest.mark.parametrize("cell", REFUSED, ids=str)
def test_what_does_not_go_together_is_refused_with_a_sentence(cell: tuple[str, str | None, str, int]) -> None:
    with pytest.raises(InputError, match=r"^config: [a-z_.]+: .+; (use|set) "):
        config_of(*cell)
    assert exports_of(*cell) == ()


def test_the_committed_page_is_what_is_generated() -> None:
    same = PAGE.read_text(encoding="utf-8") == support_page()
    assert same, f"docs/support.md is older than the table; renew it with: {COMMAND}"
