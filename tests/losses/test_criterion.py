"""What reaches the loss, what does not, and what the losses say of plain cases."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from rlepose.errors import InputError
from rlepose.losses import L1, L2, LIKELIHOODS, RLE, Criterion, build_criterion
from rlepose.losses.flows import JointFlows, RealNVP
from rlepose.losses.options import AnyLoss, DLEConfig, LaplaceConfig, LossConfig, NSFConfig, RealNVPConfig, RLEConfig
from rlepose.options import variants
from rlepose.pose.codec import PoseOutput
from rlepose.pose.skeleton import H36M_ROOT

K = 5
VARIANTS = {
    **{name: variants(AnyLoss)[name]() for name in LIKELIHOODS},
    "rle paper": RLEConfig(form="paper"),
    "rle per joint": RLEConfig(flow=RealNVPConfig(depth=2, width=8, per_joint=True)),
    "dle nsf": DLEConfig(flow=NSFConfig(depth=2, width=8)),
}
every_loss = pytest.mark.parametrize("config", list(VARIANTS.values()), ids=list(VARIANTS))
quick_losses = pytest.mark.parametrize(
    "config",
    [
        LaplaceConfig(),
        *(DLEConfig(flow=RealNVPConfig(depth=2, width=8, per_joint=each)) for each in (False, True)),
    ],
    ids=["laplace", "dle", "dle per joint"],
)
dims_2_and_3 = pytest.mark.parametrize("dims", [2, 3])


def random_batch(batch: int = 4, dims: int = 2) -> tuple[PoseOutput, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mu = (torch.rand(batch, K, dims, generator=generator) - 0.5).requires_grad_()
    sigma = (torch.rand(batch, K, dims, generator=generator) * 0.3 + 0.05).requires_grad_()
    target = torch.rand(batch, K, dims, generator=generator) - 0.5
    weight = (torch.rand(batch, K, 1, generator=generator) > 0.4).float().expand(-1, -1, dims).clone()
    if dims == 3:
        weight[: batch // 2, :, 2] = 0  # no depth label
    return PoseOutput(mu, sigma), target, weight


def criterion_of(config: LossConfig, dims: int = 2) -> Criterion:
    torch.manual_seed(0)
    return build_criterion(config, K, dims)


def gradients(output: PoseOutput, criterion: Criterion) -> list[Tensor]:
    tensors = [output.mu, output.sigma, *criterion.parameters()]
    found = [torch.zeros_like(t) if t.grad is None else t.grad.clone() for t in tensors]
    for tensor in tensors:
        tensor.grad = None
    return found


@dims_2_and_3
@every_loss
def test_what_an_unlabelled_coordinate_holds_reaches_neither_loss_nor_gradient(config: LossConfig, dims: int) -> None:
    criterion = criterion_of(config, dims)
    output, target, weight = random_batch(dims=dims)
    assert 0 < weight.sum() < weight.numel()
    plain = criterion(output, target, weight)
    plain.sum().backward()
    expected = gradients(output, criterion)
    assert not expected[0][weight == 0].any() and not expected[1][weight == 0].any()
    assert expected[0][weight > 0].all()
    for poison in (float("nan"), float("inf"), 1e30):
        poisoned = criterion(output, torch.where(weight > 0, target, poison), weight)
        poisoned.sum().backward()
        assert torch.equal(poisoned, plain)
        assert all(torch.equal(a, b) for a, b in zip(gradients(output, criterion), expected, strict=True))


@dims_2_and_3
@every_loss
def test_a_batch_without_labels_costs_nothing_and_reaches_every_parameter(config: LossConfig, dims: int) -> None:
    criterion = criterion_of(config, dims)
    output, target, weight = random_batch(dims=dims)
    losses = criterion(output, target, torch.zeros_like(weight))
    losses.sum().backward()
    assert losses.tolist() == [0, 0, 0, 0]
    assert output.mu.grad is not None
    assert all(p.grad is not None and not p.grad.any() for p in criterion.parameters())


@every_loss
def test_a_person_costs_the_same_alone_and_in_a_batch(config: LossConfig) -> None:
    criterion = criterion_of(config)
    output, target, weight = random_batch()
    together = criterion(output, target, weight)
    for person in range(4):
        rows = slice(person, person + 1)
        alone = criterion(PoseOutput(output.mu[rows], output.sigma[rows]), target[rows], weight[rows])
        torch.testing.assert_close(alone, together[rows])


@every_loss
@pytest.mark.parametrize("sigma", [0.0, 1e-9, 1.0])
def test_a_sigma_at_the_end_of_its_range_gives_finite_numbers(config: LossConfig, sigma: float) -> None:
    criterion = criterion_of(config)
    output, target, weight = random_batch()
    output = PoseOutput(output.mu, torch.full_like(output.mu, sigma).requires_grad_())
    losses = criterion(output, target, weight)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients(output, criterion))


@pytest.mark.parametrize("name", ["gaussian", "laplace", "dle", "rle"])
@pytest.mark.parametrize("logit", [-12.0, -16.0, -20.0])
def test_a_sigma_below_the_floor_still_learns_to_grow(name: str, logit: float) -> None:
    criterion = criterion_of(variants(AnyLoss)[name]())
    logits = torch.full((1, K, 2), logit, requires_grad=True)
    criterion(
        PoseOutput(torch.zeros(1, K, 2), logits.sigmoid()), torch.full((1, K, 2), 0.1), torch.ones(1, K, 2)
    ).backward()
    assert (logits.grad < 0).all()


@every_loss
def test_a_target_far_outside_the_crop_gives_finite_numbers(config: LossConfig) -> None:
    criterion = criterion_of(config)
    output, target, weight = random_batch()
    losses = criterion(output, target + 50, weight)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients(output, criterion))


@every_loss
def test_a_labelled_nan_shows_in_its_own_persons_loss_only(config: LossConfig) -> None:
    criterion = criterion_of(config)
    output, target, weight = random_batch()
    target[2] = float("nan")
    weight[2] = 1
    assert criterion(output, target, weight).isfinite().tolist() == [True, True, False, True]


@dims_2_and_3
@every_loss
def test_inside_autocast_loss_and_gradients_are_those_of_float32(config: LossConfig, dims: int) -> None:
    criterion = criterion_of(config, dims)
    output, target, weight = random_batch(dims=dims)
    expected = criterion(output, target, weight)
    expected.sum().backward()
    expected_gradients = gradients(output, criterion)
    with torch.autocast("cpu", torch.bfloat16):
        losses = criterion(output, target, weight)
    losses.sum().backward()
    assert torch.equal(losses, expected)
    assert all(torch.equal(a, b) for a, b in zip(gradients(output, criterion), expected_gradients, strict=True))


@dims_2_and_3
@every_loss
def test_each_joint_is_scored_by_exactly_one_likelihood(config: LossConfig, dims: int) -> None:
    """The one whose coordinates are labelled; none where nothing is, or depth without a place."""
    criterion = criterion_of(config, dims)
    output, target, weight = random_batch(dims=dims)
    weight[3] = 0.5
    if dims == 3:
        weight[3, 0, 2], weight[3, 1] = 0, torch.tensor([0.0, 0, 1])
    expected, scored = torch.zeros(4), dict.fromkeys(criterion.likelihoods, 0)
    for person, joint in np.ndindex(4, K):
        labelled = weight[person, joint] > 0
        for likelihood in criterion.likelihoods:
            if labelled[: likelihood.dims].all() and not labelled[likelihood.dims :].any():
                mu, sigma, label = (t[person, joint, None, : likelihood.dims] for t in (*output[:2], target))
                loss = likelihood.loss(mu, sigma, label, torch.tensor([joint]))
                expected[person] += loss[0].detach() * weight[person, joint, 0]
                scored[likelihood] += 1
    assert all(scored.values()) and sum(scored.values()) == (weight[..., 0] > 0).sum()
    torch.testing.assert_close(criterion(output, target, weight), expected, rtol=1e-5, atol=1e-4)


@quick_losses
def test_a_spread_is_that_of_the_likelihood_that_scores_the_joint(config: LossConfig) -> None:
    """In 3-D the root's labels lack the depth, which is known: its spread is 0."""
    criterion = criterion_of(config, dims=3)
    in_space, in_plane = (likelihood.residual_spread().expand(K, -1) for likelihood in criterion.likelihoods)
    spread = criterion.residual_spread(K)
    assert spread.shape == (K, 3)
    assert torch.equal(spread[H36M_ROOT], torch.cat([in_plane[H36M_ROOT], torch.zeros(1)]))
    others = [joint for joint in range(K) if joint != H36M_ROOT]
    assert torch.equal(spread[others], in_space[others])


@quick_losses
def test_a_root_with_a_depth_label_has_the_spread_of_the_others(config: LossConfig) -> None:
    criterion = criterion_of(dataclasses.replace(config, root_depth=True), dims=3)
    assert torch.equal(criterion.residual_spread(K), criterion.main.residual_spread().expand(K, -1))


def test_weights_scale_a_joints_loss() -> None:
    output, target, weight = random_batch()
    criterion = criterion_of(RLEConfig())
    torch.testing.assert_close(criterion(output, target, 3 * weight), 3 * criterion(output, target, weight))


@pytest.mark.parametrize(("kind", "expected"), [(L1, [0.3, 0.5]), (L2, [0.025, 0.125])])
def test_distances_are_summed_over_joints_and_coordinates(kind: type, expected: list[float]) -> None:
    output = PoseOutput(torch.tensor([[[0.1, 0.2], [9.0, 9.0]], [[0.0, 0.0], [0.5, 0.0]]]), None)
    weight = torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    assert Criterion([kind(2)])(output, torch.zeros(2, 2, 2), weight).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "basic", "dle", "rle"])
def test_a_likelihood_falls_without_bound_as_a_right_prediction_grows_surer(name: str) -> None:
    """The loss is a negative log-density: negative values are no error, and nothing clamps them."""
    criterion = criterion_of(variants(AnyLoss)[name]())
    flows = getattr(criterion.main, "flows", None)
    target = torch.zeros(1, K, 2)
    mu = target if name != "basic" else next(iter(flows))(target[0])[0][None]
    losses = [criterion(PoseOutput(mu, torch.full_like(mu, s)), target, target + 1).item() for s in (0.5, 0.1, 1e-3)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < -10


def test_a_likelihood_needs_a_scale() -> None:
    output, target, weight = random_batch()
    with pytest.raises(ValueError, match="RLE needs a sigma"):
        Criterion([RLE(JointFlows([RealNVP(2)]))])(PoseOutput(output.mu, None), target, weight)


def test_masks_that_do_not_fit_are_refused_by_the_options_name() -> None:
    with pytest.raises(InputError, match=r"loss\.flow: each mask needs 2 numbers"):
        criterion_of(RLEConfig(flow=RealNVPConfig(masks=((1, 0, 1), (0, 1, 0)))))


def test_flows_of_the_extra_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zuko", None)
    with pytest.raises(InputError, match=r"loss\.flow\.name: nsf needs the zuko library; run pip install -e"):
        criterion_of(DLEConfig(flow=NSFConfig()))
