import pytest
import torch

from rlepose.losses.flows import RealNVP
from rlepose.options import variants
from rlepose.training.optimization import (
    OPTIMIZERS,
    TensorClipping,
    build_optimizer,
    learning_rate_factor,
    skip_next_step,
)
from rlepose.training.options import AnyOptimizer, AnySchedule, CosineConfig, SGDConfig, StepConfig


def test_steps_happen_at_their_milestones() -> None:
    schedule = StepConfig(milestones=(170, 200), gamma=0.1)
    factors = [learning_rate_factor(schedule, epoch, 270, 0.01) for epoch in (0, 169.99, 170, 199.99, 200, 269)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("name", ["step", "cosine"])
def test_warm_up_grows_linearly_and_moves_the_weights_from_the_first_step(name: str) -> None:
    schedule = variants(AnySchedule)[name](warmup_epochs=1.25)
    steps = 4  # an epoch
    factors = [learning_rate_factor(schedule, step / steps, 1000, 1 / steps) for step in range(5)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])


def test_a_warm_up_that_ends_within_a_step_does_not_exceed_the_rate() -> None:
    schedule = StepConfig(milestones=(), warmup_epochs=0.3)
    assert learning_rate_factor(schedule, 0.25, 10, 0.25) == 1


def test_cosine_falls_from_one_to_zero_after_the_warm_up() -> None:
    schedule = CosineConfig(warmup_epochs=1)
    assert learning_rate_factor(schedule, 1, 11, 0.1) == 1
    assert learning_rate_factor(schedule, 6, 11, 0.1) == pytest.approx(0.5)
    assert learning_rate_factor(schedule, 11, 11, 0.1) == pytest.approx(0)
    values = [learning_rate_factor(schedule, 1 + epoch / 10, 11, 0.1) for epoch in range(101)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_every_optimizer_goes_downhill(name: str) -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = build_optimizer(variants(AnyOptimizer)[name](lr=0.05, weight_decay=0.01), [weight])
    for _ in range(50):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.square().sum() < 2


def path_of(name: str, gradients: list[float], decided_on_device: bool = True) -> list[float]:
    """Where a weight goes that gets these gradients; the optimiser, or else the host, skips what is NaN."""
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = build_optimizer(variants(AnyOptimizer)[name](lr=0.05, weight_decay=0.01), [weight])
    path = []
    for gradient in gradients:
        weight.grad = torch.tensor([gradient])
        if decided_on_device:
            skip_next_step(optimizer, 1 - weight.grad.isfinite().float().squeeze())
        if decided_on_device or weight.grad.isfinite():
            optimizer.step()
        path.append(weight.item())
    return path


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_skipped_step_leaves_weights_and_state_as_they_were(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Memory that nobody has filled holds NaN, not the zeros of a lucky day.
    monkeypatch.setattr(torch, "empty_like", lambda like, **_: torch.full_like(like, torch.nan))
    gradients = [float("nan"), 1.0, 2.0, float("inf"), -1.0, 0.5]
    assert path_of(name, gradients) == path_of(name, gradients, decided_on_device=False)


def test_momentum_that_starts_from_zero_is_torchs() -> None:
    weight, ours = (torch.nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
    theirs = torch.optim.SGD([weight], lr=0.05, momentum=0.9, weight_decay=0.01)
    optimizer = build_optimizer(SGDConfig(lr=0.05, momentum=0.9, weight_decay=0.01), [ours])
    for _ in range(3):
        weight.grad, ours.grad = weight.detach() * 2, ours.detach() * 2
        theirs.step()
        optimizer.step()
    assert torch.equal(weight, ours)


def with_gradients(module: torch.nn.Module, scale: float) -> torch.nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        parameter.grad = torch.randn_like(parameter) * scale
    return module


def test_clipping_by_tensor_is_torchs_of_each_tensor_alone() -> None:
    ours, theirs = (
        with_gradients(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(5, 50)), 0.5) for _ in range(2)
    )
    TensorClipping(ours, limit=2.0)()
    for parameter in theirs.parameters():
        torch.nn.utils.clip_grad_norm_(parameter, 2.0)
    norms = [parameter.grad.norm().item() for parameter in ours.parameters()]
    assert min(norms) < 1.99 and max(norms) == pytest.approx(2)  # some are left alone
    for parameter, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad)


def test_clipping_by_tensor_takes_a_flows_couplings_and_networks_for_tensors_of_their_own() -> None:
    flow = with_gradients(RealNVP(2, depth=3, width=8), 0.1)
    weight = flow.weights[1]
    weight.grad[1, 0] *= 100
    before = weight.grad.clone()
    TensorClipping(torch.nn.ModuleDict({"criterion": flow}), limit=1.5)()
    assert weight.grad[1, 0].norm() == pytest.approx(1.5, rel=1e-5)
    others = torch.ones(3, 2, dtype=torch.bool)
    others[1, 0] = False
    torch.testing.assert_close(weight.grad[others], before[others])


def test_clipping_by_tensor_leaves_out_what_has_no_gradient() -> None:
    layer = torch.nn.Linear(2, 2)
    layer.weight.grad = torch.full((2, 2), 10.0)
    TensorClipping(layer, limit=1.0)()
    assert layer.bias.grad is None and layer.weight.grad.norm() == pytest.approx(1)
