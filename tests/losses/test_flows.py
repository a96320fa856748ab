import math

import pytest
import torch

from rlepose.losses.flows import RealNVP


def wild_flow(dims: int, depth: int = 6, width: int = 16) -> RealNVP:
    """A flow far from the identity."""
    torch.manual_seed(0)
    flow = RealNVP(dims, depth, width).double()
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return flow


@pytest.mark.parametrize("dims", [2, 3, 5])
def test_inverse_undoes_forward(dims: int) -> None:
    flow = wild_flow(dims)
    x = torch.randn(100, dims, dtype=torch.float64)
    z, log_det = flow(x)
    again, log_det_back = flow.inverse(z)
    torch.testing.assert_close(again, x)
    torch.testing.assert_close(log_det_back, -log_det)


@pytest.mark.parametrize("dims", [2, 3])
def test_log_det_is_that_of_the_jacobian(dims: int) -> None:
    flow = wild_flow(dims)
    for x in torch.randn(5, dims, dtype=torch.float64):
        jacobian = torch.autograd.functional.jacobian(lambda point: flow(point[None])[0][0], x)
        torch.testing.assert_close(flow(x[None])[1][0], torch.linalg.slogdet(jacobian).logabsdet)


def test_the_density_integrates_to_one() -> None:
    flow = wild_flow(2)
    axis = torch.linspace(-40, 40, 1601, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        mass = flow.log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=1e-3)


def test_gradients_are_right_for_every_parameter() -> None:
    flow = wild_flow(2, depth=2, width=4)
    x = torch.randn(3, 2, dtype=torch.float64)
    names = [name for name, _ in flow.named_parameters()]

    def log_prob(*values: torch.Tensor) -> torch.Tensor:
        z, log_det = torch.func.functional_call(flow, dict(zip(names, values, strict=True)), (x,))
        return torch.cat([z.sum(dim=1), log_det])

    assert torch.autograd.gradcheck(log_prob, tuple(p.detach().requires_grad_() for p in flow.parameters()))


def test_samples_follow_the_density() -> None:
    """The entropy estimated from samples is that of the grid integral."""
    flow = wild_flow(2)
    with torch.no_grad():
        from_samples = -flow.log_prob(flow.sample(20_000, torch.Generator().manual_seed(0))).mean()
        axis = torch.linspace(-40, 40, 1601, dtype=torch.float64)
        log_density = flow.log_prob(torch.cartesian_prod(axis, axis))
        on_grid = -(log_density.exp() * log_density).sum() * (axis[1] - axis[0]) ** 2
    assert from_samples.item() == pytest.approx(on_grid.item(), abs=0.03)


def test_a_new_flow_is_nearly_the_standard_normal() -> None:
    x = torch.randn(50, 2)
    normal = -0.5 * x.square().sum(dim=1) - math.log(2 * math.pi)
    torch.testing.assert_close(RealNVP(2).log_prob(x), normal, atol=0.01, rtol=0)


def test_fitting_learns_a_correlated_density() -> None:
    """Maximum likelihood reaches the true entropy of a narrow, rotated normal."""
    torch.manual_seed(0)
    factor = torch.tensor([[1.0, 0.0], [1.5, 0.3]])
    entropy = math.log(2 * math.pi * math.e) + torch.linalg.slogdet(factor).logabsdet.item()
    flow = RealNVP(2)
    optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
    for _ in range(400):
        loss = -flow.log_prob(torch.randn(512, 2) @ factor.T).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        nll = -flow.log_prob(torch.randn(20_000, 2) @ factor.T).mean().item()
    assert nll == pytest.approx(entropy, abs=0.05)


def test_an_empty_batch_gives_zero_gradients_to_all_parameters() -> None:
    """A rank without a visible joint must take part in the reduction."""
    flow = RealNVP(2)
    flow.log_prob(torch.zeros(0, 2)).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in flow.parameters())


def test_computes_in_float32_inside_autocast() -> None:
    flow, x = RealNVP(2), torch.randn(8, 2)
    with torch.autocast("cpu", torch.bfloat16):
        inside = flow.log_prob(x.bfloat16())
    assert inside.dtype == torch.float32
    assert torch.equal(inside, flow.log_prob(x.bfloat16().float()))


def test_one_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match="two coordinates"):
        RealNVP(1)
