"""The fast couplings against the formula, written plainly and left to autograd."""

import weakref

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rlepose.losses.coupling import ACTIVATIONS
from rlepose.losses.flows import RealNVP

MASKS = {
    1: [None],
    2: [None, [[1, 0], [0, 1], [0, 0]], [[0, 1]] * 2 + [[1, 0]]],
    3: [None, [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 1, 0], [1, 1, 1]]],
}


def plain(flow: RealNVP, points: Tensor, to_data: bool) -> tuple[Tensor, Tensor]:
    """RealNVP as it is written: (N, D) -> (N, D), log |det| (N,)."""
    activation = ACTIVATIONS[flow.activation].module()
    log_det = torch.zeros_like(points[:, 0])

    def network(which: int, index: int, seen: Tensor) -> Tensor:
        first, second, last = (
            (weight[index, which], bias[index, which]) for weight, bias in zip(flow.weights, flow.biases, strict=True)
        )
        hidden = activation(torch.nn.functional.linear(seen, *first))
        return torch.nn.functional.linear(activation(torch.nn.functional.linear(hidden, *second)), *last)

    masks = flow.seen[:, 0, 0]
    for index in reversed(range(len(masks))) if to_data else range(len(masks)):
        mask = masks[index]
        scale = flow.scale_bound * torch.tanh(network(0, index, mask * points))
        shift = network(1, index, mask * points)
        changed = points * torch.exp(scale) + shift if to_data else (points - shift) * torch.exp(-scale)
        log_det = log_det + (scale if to_data else -scale).mul(1 - mask).sum(dim=1)
        points = mask * points + (1 - mask) * changed
    return points, log_det


@pytest.mark.parametrize("to_data", [False, True])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize(("dims", "masks"), [(dims, masks) for dims, choices in MASKS.items() for masks in choices])
def test_values_and_all_gradients_are_those_of_the_formula(
    dims: int, masks: list[list[int]] | None, activation: str, to_data: bool
) -> None:
    torch.manual_seed(0)
    flow = RealNVP(dims, 3, 8, masks, activation, scale_bound=1.5)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    points = torch.randn(40, dims, requires_grad=True)
    direction = torch.randn(40, dims), torch.randn(40)
    inputs = [points, *flow.parameters()]
    results = []
    for out in (flow.inverse(points) if to_data else flow(points), plain(flow, points, to_data)):
        results.append([*out, *torch.autograd.grad(out, inputs, direction)])
    for ours, expected in zip(*results, strict=True):
        assert ours.shape == expected.shape
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5 * max(1.0, expected.abs().max().item()))


def test_points_need_no_gradient_and_neither_do_parameters() -> None:
    flow, points = RealNVP(2, 2, 4), torch.randn(5, 2, requires_grad=True)
    flow.log_prob(points.detach()).sum().backward()
    assert all(parameter.grad is not None for parameter in flow.parameters())
    assert not flow.requires_grad_(False).log_prob(points.detach()).requires_grad
    flow.log_prob(points).sum().backward()
    assert points.grad is not None and points.grad.any()


class HiddenLayers(TorchDispatchMode):
    """How many results of batched products lived at once."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[weakref.ref[Tensor]] = []
        self.most = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.baddbmm.default:
            self.results.append(weakref.ref(result))
            self.most = max(self.most, sum(reference() is not None for reference in self.results))
        return result


def test_without_gradient_hidden_layers_are_let_go() -> None:
    """A normaliser in evaluation has 65,536 points: their hidden layers would take half a gigabyte."""
    flow = RealNVP(2, 6, 4)
    with HiddenLayers() as kept:
        flow.log_prob(torch.randn(5, 2))
    with HiddenLayers() as let_go, torch.no_grad():
        flow.log_prob(torch.randn(5, 2))
    assert kept.most >= 6
    assert let_go.most <= 4


def test_a_second_derivative_is_refused() -> None:
    flow, points = RealNVP(2, 2, 4), torch.randn(5, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(flow.log_prob(points).sum(), points, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
