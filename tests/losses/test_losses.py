import math

import pytest
import torch

from rlepose.codec import PoseOutput
from rlepose.config import LossConfig
from rlepose.losses import L1, LOSSES, RLE, build_criterion


def random_batch(batch: int = 4, joints: int = 5) -> tuple[PoseOutput, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mu = (torch.rand(batch, joints, 2, generator=generator) - 0.5).requires_grad_()
    sigma = (torch.rand(batch, joints, 2, generator=generator) * 0.3 + 0.05).requires_grad_()
    target = torch.rand(batch, joints, 2, generator=generator) - 0.5
    weight = (torch.rand(batch, joints, 1, generator=generator) > 0.4).float().expand(-1, -1, 2).clone()
    return PoseOutput(mu, sigma), target, weight


@pytest.mark.parametrize("name", list(LOSSES))
def test_what_an_unlabelled_joint_holds_reaches_neither_loss_nor_gradient(name: str) -> None:
    torch.manual_seed(0)
    criterion = build_criterion(LossConfig(name=name))
    output, target, weight = random_batch()
    assert 0 < weight.sum() < weight.numel()
    plain = criterion(output, target, weight)
    plain.backward()
    gradient = output.mu.grad.clone()
    for poison in (float("nan"), float("inf"), 1e30):
        output.mu.grad = None
        poisoned = criterion(output, torch.where(weight > 0, target, poison), weight)
        poisoned.backward()
        assert torch.equal(poisoned, plain)
        assert torch.equal(output.mu.grad, gradient)
    assert not gradient[weight == 0].any()


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_batch_without_labels_costs_nothing_and_reaches_every_parameter(name: str) -> None:
    criterion = build_criterion(LossConfig(name=name))
    output, target, weight = random_batch()
    loss = criterion(output, target, torch.zeros_like(weight))
    loss.backward()
    assert loss.item() == 0
    assert output.mu.grad is not None
    assert all(p.grad is not None and not p.grad.any() for p in criterion.parameters())


def test_l1_is_the_summed_distance_a_person() -> None:
    output = PoseOutput(torch.tensor([[[0.1, 0.2], [9.0, 9.0]], [[0.0, 0.0], [0.5, 0.0]]]), None)
    weight = torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    loss = L1()(output, torch.zeros(2, 2, 2), weight)
    assert loss.item() == pytest.approx((0.3 + 0.5) / 2)


def test_rle_falls_without_bound_as_a_right_prediction_grows_surer() -> None:
    """The loss is a negative log-density: negative values are no error, and nothing clamps them."""
    criterion = RLE()
    mu = torch.zeros(1, 1, 2)
    losses = [criterion(PoseOutput(mu, mu + s), mu, torch.ones_like(mu)).item() for s in (0.5, 0.1, 0.01, 0.001)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < -10


def test_rle_needs_a_scale() -> None:
    output, target, weight = random_batch()
    with pytest.raises(ValueError, match="sigma"):
        RLE()(PoseOutput(output.mu, None), target, weight)


def test_the_mean_over_two_halves_is_that_of_the_whole() -> None:
    criterion = RLE()
    output, target, weight = random_batch(batch=4)
    halves = [
        criterion(PoseOutput(output.mu[s], output.sigma[s]), target[s], weight[s]) for s in (slice(2), slice(2, 4))
    ]
    torch.testing.assert_close(sum(halves) / 2, criterion(output, target, weight))


def test_the_spread_is_that_of_the_flows_density() -> None:
    """A flow that halves x and doubles y describes residuals of spread 2 and 1/2."""
    criterion = RLE(depth=2)
    with torch.no_grad():
        for coupling, log_scale in zip(criterion.flow.couplings, (-math.log(2), math.log(2)), strict=True):
            coupling.scale[4].weight.zero_()
            coupling.shift[4].weight.zero_()
            coupling.scale[4].bias.fill_(math.atanh(log_scale))
    # The first coupling keeps x and scales y.
    torch.testing.assert_close(criterion.residual_spread(), torch.tensor([2.0, 0.5]), rtol=0.05, atol=0)
