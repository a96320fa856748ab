"""The flow of docs/extending.md, as it stands there: held to what every flow is, and trained."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.losses import FLOWS, build_criterion
from rlepose.losses.options import AnyFlow, DLEConfig, RLEConfig
from rlepose.options import variants
from rlepose.pose.codec import PoseOutput
from tests.losses import test_flows as of_every_flow

DOCS = Path(__file__).parent.parent.parent / "docs" / "extending.md"
NAME = "sinh_arcsinh"


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {}
    exec(block[1], names)
    monkeypatch.setitem(FLOWS, NAME, names["SinhArcsinh"])
    monkeypatch.setattr(of_every_flow, "AnyFlow", AnyFlow | names["SinhArcsinhConfig"])


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize(
    "hold",
    [
        of_every_flow.test_inverse_undoes_forward,
        of_every_flow.test_inverse_undoes_forward_in_float32,
        of_every_flow.test_log_det_is_that_of_the_jacobian,
        of_every_flow.test_the_density_integrates_to_one,
    ],
)
def test_the_example_is_a_density(hold: Callable[[str, int], None], dims: int) -> None:
    hold(NAME, dims)


@pytest.mark.parametrize(
    "hold",
    [
        of_every_flow.test_the_density_integrates_to_one_in_three_dimensions,
        of_every_flow.test_gradients_are_right_for_every_parameter,
        of_every_flow.test_fitting_learns_a_correlated_density,
        of_every_flow.test_an_empty_batch_gives_zero_gradients_to_all_parameters,
        of_every_flow.test_computes_in_float32_inside_autocast,
        of_every_flow.test_points_of_another_dimension_are_refused,
    ],
)
def test_the_example_does_what_every_flow_does(hold: Callable[[str], None]) -> None:
    hold(NAME)


@pytest.mark.parametrize("base", ["gaussian", "laplace"])
def test_the_examples_samples_follow_its_density(base: str) -> None:
    of_every_flow.test_samples_follow_the_density(NAME, base)


@pytest.mark.parametrize("loss", [DLEConfig, RLEConfig])
def test_the_example_learns_in_a_loss(loss: Any) -> None:
    """Residuals with tails that no scale explains: the loss falls below what a flow without tails reaches."""
    torch.manual_seed(0)
    criterion = build_criterion(loss(flow=variants(of_every_flow.AnyFlow)[NAME]()), num_joints=3)
    optimizer = torch.optim.Adam(criterion.parameters(), lr=0.05)
    sigma = torch.full((64, 3, 2), 0.1)
    losses = []
    for _ in range(40):
        target = 0.1 * torch.randn(64, 3, 2) ** 3
        loss_now = criterion(PoseOutput(torch.zeros_like(target), sigma), target, torch.ones_like(target)).mean()
        optimizer.zero_grad()
        loss_now.backward()
        optimizer.step()
        losses.append(loss_now.item())
    assert sum(losses[-10:]) < sum(losses[:10]) - 10
    (fitted,) = criterion.main.flows
    assert (fitted.log_tail < -0.1).all()
