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
from rlepose.export.choices import FORMAT_NAMES, FormatName
from rlepose.export.formats import FORMATS
from rlepose.jobs.export import export_checkpoint
from rlepose.jobs.train import TASKS
from rlepose.losses import LOSSES, build_criterion
from rlepose.losses.options import AnyLoss
from rlepose.models.heads import HEADS
from rlepose.models.lifting_net import lifting_network
from rlepose.models.options import AnyHead, MapHeadConfig, TopDownModelConfig
from rlepose.models.pose_model import network_of
from rlepose.options import variants
from rlepose.pose.skeleton import H36M, skeleton_from_names
from rlepose.runtime.checkpoint import Checkpoint
from rlepose.runtime.trained_lifter import lifting_criterion
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
    data: dict[str, Any] = {"format": "h36m" if dims == 3 else "coco"}
    if head is not None:
        data["input_size_hw"] = [64, 64]
        options = {"deconv_width": 8} if issubclass(variants(AnyHead)[head], MapHeadConfig) else {}
        model |= {"backbone": {"name": "resnet10t", "pretrained": False}, "head": {"name": head, **options}}
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


@pytest.mark.parametrize(
    ("cell", "file_format"),
    [
        pytest.param(cell, name, id=f"{cell}-{name}", marks=[] if name == "torchscript" else pytest.mark.slow)
        for cell, name in itertools.product(SUPPORTED, FORMAT_NAMES)
    ],
)
def test_what_goes_together_is_exported_in_the_formats_of_the_table_only(
    cell: tuple[str, str | None, str, int], file_format: FormatName, tmp_path: Path
) -> None:
    config = config_of(*cell)
    out = tmp_path / f"cell{FORMATS[file_format].suffix}"
    if file_format in exports_of(*cell):
        export_checkpoint(Path("cell.pt"), config, untrained(config), file_format, "float32", out)  # compares them
        assert out.exists()
    else:
        with pytest.raises(InputError, match=r"cell\.pt: .* is not exported; train with another loss"):
            export_checkpoint(Path("cell.pt"), config, untrained(config), file_format, "float32", out)


def untrained(config: Config) -> Checkpoint:
    if isinstance(config.model, TopDownModelConfig):
        skeleton = skeleton_from_names([f"joint{number}" for number in range(JOINTS)])
        model, criterion = network_of(config, JOINTS, False), build_criterion(config.loss, JOINTS, config.dims)
    else:
        skeleton, model, criterion = H36M, lifting_network(config), lifting_criterion(config.loss)
    states, spread = (model.state_dict(), criterion.state_dict()), torch.ones(len(skeleton.names), config.dims)
    return Checkpoint(config, skeleton, *states, {}, {}, {}, [], spread=spread)  # the spread costs seconds to compute


def test_the_committed_page_is_what_is_generated() -> None:
    same = PAGE.read_text(encoding="utf-8") == support_page()
    assert same, f"docs/support.md is older than the table; renew it with: {COMMAND}"
