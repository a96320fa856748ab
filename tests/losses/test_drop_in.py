"""The example of docs/loss.md, as it stands there."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

DOCS = Path(__file__).parent.parent.parent / "docs" / "loss.md"


@pytest.fixture
def train() -> Callable[..., Any]:
    block = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {}
    exec(block[1], names)
    return names["train"]


@pytest.mark.parametrize("dims", [1, 3])
def test_the_example_learns_positions_and_how_unsure_they_are(train: Callable[..., Any], dims: int) -> None:
    torch.manual_seed(0)
    joints, truth = 2, torch.randn(8, 2 * dims) * 0.3
    noise = torch.tensor([0.02, 0.2]).view(1, joints, 1)

    def batches(count: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for _ in range(count):
            inputs = torch.randn(32, 8)
            target = (inputs @ truth).view(32, joints, dims) + noise * torch.randn(32, joints, dims)
            labelled = torch.rand(32, joints) < 0.8
            yield inputs, target.masked_fill(~labelled.unsqueeze(-1), torch.nan), labelled

    net = torch.nn.Linear(8, 2 * joints * dims)
    torch.nn.init.zeros_(net.weight)
    _, losses = train(net, batches(150), joints, dims, lr=0.01)
    assert torch.isfinite(torch.tensor(losses)).all()
    assert losses[-1] < losses[0] - joints * dims
    inputs = torch.randn(256, 8)
    mu, raw = net(inputs).view(-1, 2, joints, dims).unbind(1)
    assert (mu - (inputs @ truth).view_as(mu)).abs().mean() < 0.1
    sigma = torch.nn.functional.softplus(raw).mean(dim=(0, 2))
    assert sigma[1] > 2 * sigma[0]
