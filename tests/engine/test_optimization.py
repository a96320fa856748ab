import pytest
import torch

from rlepose.config import OptimizerConfig, ScheduleConfig
from rlepose.engine.optimization import OPTIMIZERS, build_optimizer, learning_rate_factor, skip_next_step


def test_steps_happen_at_their_milestones() -> None:
    schedule = ScheduleConfig(name="step", milestones=(170, 200), gamma=0.1)
    factors = [learning_rate_factor(schedule, epoch, 270) for epoch in (0, 169.99, 170, 199.99, 200, 269)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_warm_up_grows_linearly_to_one() -> None:
    schedule = ScheduleConfig(name="step", milestones=(), warmup_epochs=2)
    assert [learning_rate_factor(schedule, epoch, 10) for epoch in (0, 0.5, 1, 2, 9)] == pytest.approx(
        [0, 0.25, 0.5, 1, 1]
    )


def test_cosine_falls_from_one_to_zero_after_the_warm_up() -> None:
    schedule = ScheduleConfig(name="cosine", warmup_epochs=1)
    assert learning_rate_factor(schedule, 1, 11) == 1
    assert learning_rate_factor(schedule, 6, 11) == pytest.approx(0.5)
    assert learning_rate_factor(schedule, 11, 11) == pytest.approx(0)
    values = [learning_rate_factor(schedule, 1 + epoch / 10, 11) for epoch in range(101)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_every_optimizer_goes_downhill(name: str) -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = build_optimizer(OptimizerConfig(name=name, lr=0.05, weight_decay=0.01), [weight])
    for _ in range(50):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.square().sum() < 2


def path_of(name: str, gradients: list[float], decided_on_device: bool = True) -> list[float]:
    """Where a weight goes that gets these gradients; the optimiser, or else the host, skips what is NaN."""
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = build_optimizer(OptimizerConfig(name=name, lr=0.05, weight_decay=0.01), [weight])
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
    optimizer = build_optimizer(OptimizerConfig(name="sgd", lr=0.05, momentum=0.9, weight_decay=0.01), [ours])
    for _ in range(3):
        weight.grad, ours.grad = weight.detach() * 2, ours.detach() * 2
        theirs.step()
        optimizer.step()
    assert torch.equal(weight, ours)
