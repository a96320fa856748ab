"""Densities: normalised, sampled as they say, and levels that mean what they promise."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from rlepose import losses
from rlepose.losses import DLE, L1, L2, RLE, Basic, Gaussian, JointLikelihood, Laplace, build_criterion
from rlepose.losses.densities import log_laplace
from rlepose.losses.flows import JointFlows, RealNVP
from rlepose.losses.likelihood import LocationScale
from rlepose.losses.options import AnyLoss, FlowLossConfig, RealNVPConfig
from rlepose.losses.rle import unit_points
from rlepose.options import variants
from rlepose.pose.codec import PoseOutput

Module = TypeVar("Module", bound=torch.nn.Module)


def wild_flows(
    dims: int, count: int = 1, spread: float = 0.25, depth: int = 4, width: int = 16, base: str = "gaussian"
) -> JointFlows:
    """Flows far from the identity."""
    return with_random_weights(JointFlows([RealNVP(dims, depth, width, base=base) for _ in range(count)]), spread)


def with_random_weights(module: Module, spread: float) -> Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    return module


def by_config(name: str, spread: float = 0.25) -> Callable[[int], JointLikelihood]:
    """A loss of the config's with a small wild flow, if it has one."""
    variant = variants(AnyLoss)[name]
    config = variant(flow=RealNVPConfig(depth=4, width=16)) if issubclass(variant, FlowLossConfig) else variant()
    return lambda dims: with_random_weights(build_criterion(config, 1, dims).main, spread)


NAMED = {name: by_config(name, 0.15 if name == "basic" else 0.25) for name in losses.LIKELIHOODS}
LOCATION_SCALE: dict[str, Callable[[int], LocationScale]] = {
    **{name: make for name, make in NAMED.items() if issubclass(losses.LIKELIHOODS[name], LocationScale)},
    "dle from laplace": lambda dims: DLE(wild_flows(dims, base="laplace")),
    "rle paper": lambda dims: RLE(wild_flows(dims), "paper"),
    "rle paper, gaussian q": lambda dims: RLE(wild_flows(dims), "paper", "gaussian", 0.7),
    "rle paper from laplace": lambda dims: RLE(wild_flows(dims, base="laplace"), "paper"),
}
LIKELIHOODS: dict[str, Callable[[int], JointLikelihood]] = {**NAMED, **LOCATION_SCALE}


def mass(likelihood: JointLikelihood, dims: int) -> float:
    """∫ exp(log_prob) over the target on a fine grid."""
    reach, count = 22, {1: 8001, 2: 1201}[dims]
    sigma = torch.tensor([[0.8, 0.5]])[:, :dims]
    axes = [torch.linspace(-reach, reach, count) * s + 0.1 for s in sigma[0]]
    cell = math.prod(2 * reach / (count - 1) * s for s in sigma[0].tolist())
    points = torch.cartesian_prod(*axes).view(-1, dims)
    total = 0.0
    with torch.no_grad():
        for part in points.split(500_000):
            rows = (len(part), dims)
            values = likelihood.log_prob(torch.full(rows, 0.1), sigma.expand(rows), part, torch.zeros(len(part)).long())
            total += values.double().exp().sum().item()
    return total * cell


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("name", list(LIKELIHOODS))
def test_the_density_of_the_target_integrates_to_one(name: str, dims: int) -> None:
    assert mass(LIKELIHOODS[name](dims).eval(), dims) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("form", ["original", "paper"])
def test_in_three_dimensions_the_density_integrates_to_one_too(form: str) -> None:
    """By importance sampling at quasi-random points of a Laplace density."""
    likelihood = RLE(wild_flows(3, spread=0.1), form).eval()
    uniform = torch.quasirandom.SobolEngine(3, scramble=True, seed=0).draw(1 << 17) - 0.5
    points = -1.5 * uniform.sign() * (1 - 2 * uniform.abs()).clamp(min=1e-7).log()
    with torch.no_grad():
        log_density = likelihood.residual_log_prob(points, torch.zeros(len(points)).long())
    assert (log_density - log_laplace(points, 1.5)).exp().mean().item() == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("narrowness", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("form", ["original", "paper"])
def test_the_normaliser_follows_a_narrow_flow(form: str, narrowness: float) -> None:
    """In training sigma may stay large while the flow shrinks; the nodes have to go with it."""
    likelihood = RLE(JointFlows([scaling_flow(1, narrowness)]), form).eval()
    x = torch.linspace(-20, 20, 400_001).mul(narrowness)[:, None]
    with torch.no_grad():
        log_density = likelihood.residual_log_prob(x, torch.zeros(len(x)).long())
    assert log_density.double().exp().sum().item() * narrowness * 40 / 400_000 == pytest.approx(1, abs=1e-3)


def test_training_nodes_give_the_fine_nodes_normaliser() -> None:
    for name in ("rle", "rle paper", "rle paper, gaussian q", "rle paper from laplace"):
        likelihood = LOCATION_SCALE[name](2)
        with torch.no_grad():
            coarse, fine = likelihood.train().log_normaliser(), likelihood.eval().log_normaliser()
        torch.testing.assert_close(coarse, fine, atol=0.01, rtol=0)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_points_are_spread_evenly_inside_the_unit_cube(dims: int) -> None:
    for fine in (False, True):
        points = unit_points(dims, fine)
        assert points.min() > 0 and points.max() < 1
        torch.testing.assert_close(points.mean(dim=0), torch.full((dims,), 0.5).double(), atol=1e-3, rtol=0)
        torch.testing.assert_close(points.var(dim=0), torch.full((dims,), 1 / 12).double(), atol=1e-3, rtol=0)


def scaling_flow(dims: int, factor: float) -> RealNVP:
    """The normal density of standard deviation `factor`, nearly."""
    flow = RealNVP(dims, depth=2, scale_bound=10)
    flow.weights[2].data[:, 0] = 0
    flow.biases[2].data[:, 0] = math.atanh(math.log(factor) / 10 / (2 if dims == 1 else 1))
    return flow


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("factor", [0.003, 0.03, 0.3, 3.0, 30.0, 300.0])
def test_a_flow_cannot_hide_from_the_training_points(factor: float, dims: int) -> None:
    """Where the points of one density are too far apart to see the other, those of the other see it.

    ∫ N(x; 0, s) N(x; 0, q) dx = N(0; 0, √(s² + q²)) in each coordinate. Points of the flow alone gave a Z that was too
    small by e^5 after some epochs of training, which had found out.
    """
    likelihood = RLE(JointFlows([scaling_flow(dims, factor)]), "paper", "gaussian", 1.0).train()
    expected = -0.5 * dims * math.log(2 * math.pi * (1 + factor**2))
    assert likelihood.log_normaliser().item() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("power", [1, 2, 4])
def test_the_normaliser_of_two_gaussians_is_known(power: int) -> None:
    """A new flow is the standard normal: ∫ N(x; 0, 1) N(x; 0, s) dx = N(0; 0, √(1 + s²))."""
    scale = 0.5 * power
    likelihood = RLE(JointFlows([RealNVP(2)]), "paper", "gaussian", scale).eval()
    expected = -math.log(2 * math.pi * (1 + scale**2))
    assert likelihood.log_normaliser().item() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("form", ["original", "paper"])
def test_the_normalisers_gradient_is_right(form: str) -> None:
    likelihood = RLE(wild_flows(1, depth=2, width=4), form).double()
    flow = next(iter(likelihood.flows))

    class LogNormaliser(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.likelihood = likelihood

        def forward(self) -> Tensor:
            return self.likelihood.log_normaliser()

    module = LogNormaliser()
    names = [name for name, _ in module.named_parameters()]
    assert len(names) == len(list(flow.parameters()))

    def log_z(*values: Tensor) -> Tensor:
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), ())

    assert torch.autograd.gradcheck(log_z, tuple(p.detach().requires_grad_() for p in module.parameters()))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", list(LOCATION_SCALE))
def test_samples_have_the_density_that_is_claimed(name: str, dims: int) -> None:
    """E[1 / p] over a box, estimated from samples of p, is the box's volume."""
    likelihood = LOCATION_SCALE[name](dims).eval()
    samples = likelihood.sample_residuals(100_000, 0, torch.Generator().manual_seed(0))
    assert samples.shape == (100_000, dims)
    middle = samples.median(dim=0).values
    inside = ((samples - middle).abs() < 0.3).all(dim=1)
    with torch.no_grad():
        log_density = likelihood.residual_log_prob(samples[inside], torch.zeros(int(inside.sum())).long())
    volume = (-log_density).exp().sum().item() / len(samples)
    assert volume == pytest.approx(0.6**dims, rel=0.15 if dims == 3 else 0.05)


@pytest.mark.parametrize("factor", [0.02, 1.0, 50.0])
def test_samples_of_a_narrow_and_of_a_wide_flow_are_as_many_as_asked_for(factor: float) -> None:
    """Draws from the flow alone hit a Q that is much narrower too seldom: the same few came again and again."""
    likelihood = RLE(JointFlows([scaling_flow(2, factor)]), "paper", "gaussian", 1.0).eval()
    samples = likelihood.sample_residuals(10_000, 0, torch.Generator().manual_seed(0))
    assert len(samples.unique(dim=0)) > 5_000
    expected = factor / math.sqrt(1 + factor**2)
    torch.testing.assert_close(samples.std(dim=0), torch.full((2,), expected), rtol=0.05, atol=0)


@pytest.mark.parametrize("name", list(LOCATION_SCALE))
def test_levels_of_targets_that_follow_the_density_are_uniform(name: str) -> None:
    likelihood = LOCATION_SCALE[name](2).eval()
    count = 100_000
    residual = likelihood.sample_residuals(count, 0, torch.Generator().manual_seed(1))
    mu, sigma = torch.randn(count, 2), torch.rand(count, 2) + 0.1
    levels = likelihood.region_level(mu, sigma, mu + sigma * residual, torch.zeros(count).long())
    expected = torch.linspace(0, 1, 21)
    # A quantile's standard error is 0.0032 at most: from as many targets 0.0016, from the levels' own samples 0.0028.
    torch.testing.assert_close(torch.quantile(levels, expected), expected, atol=0.015, rtol=0)


def test_the_level_of_a_gaussian_is_the_mass_within_the_circle() -> None:
    radius = torch.tensor([0.5, 1.0, 2.0])
    target = torch.stack([radius, torch.zeros(3)], dim=1)
    levels = Gaussian(2).region_level(torch.zeros(3, 2), torch.ones(3, 2), target, torch.zeros(3).long())
    torch.testing.assert_close(levels, 1 - (-radius.square() / 2).exp(), atol=0.01, rtol=0)


def test_each_joints_level_is_that_of_its_own_flow() -> None:
    likelihood = DLE(wild_flows(2, count=3)).eval()
    joint = torch.arange(60) % 3
    target = torch.randn(60, 2)
    together = likelihood.region_level(torch.zeros(60, 2), torch.ones(60, 2), target, joint)
    for index, flow in enumerate(likelihood.flows):
        alone = DLE(JointFlows([flow])).region_level(
            torch.zeros(20, 2), torch.ones(20, 2), target[joint == index], torch.zeros(20).long()
        )
        torch.testing.assert_close(together[joint == index], alone, atol=0.02, rtol=0)


@pytest.mark.parametrize(("kind", "spread"), [(Gaussian, 1.0), (L2, 1.0), (Laplace, math.sqrt(2)), (L1, math.sqrt(2))])
def test_the_spread_of_a_fixed_density_is_exact_and_alike_in_all_coordinates(
    kind: type[LocationScale], spread: float
) -> None:
    assert torch.equal(kind(2).residual_spread(), torch.full((1, 2), spread))


@pytest.mark.parametrize(("kind", "mean"), [(Gaussian, math.sqrt(2 / math.pi)), (Laplace, 1.0)])
def test_the_mean_residual_of_a_fixed_density_is_exact(kind: type[LocationScale], mean: float) -> None:
    assert torch.equal(kind(2).mean_residual(), torch.full((1, 2), mean))


def test_the_mean_residual_of_a_flow_is_that_of_its_samples() -> None:
    """Two flows that are normals of these standard deviations, nearly."""
    mean = DLE(JointFlows([scaling_flow(2, 0.3), scaling_flow(2, 3.0)])).mean_residual()
    expected = math.sqrt(2 / math.pi) * torch.tensor([[0.3], [3.0]]).expand(2, 2)
    torch.testing.assert_close(mean, expected, rtol=0.03, atol=0)


@pytest.mark.parametrize("kind", [DLE, RLE])
def test_every_joint_can_be_drawn_from(kind: type[LocationScale]) -> None:
    others, flow = [RealNVP(2) for _ in range(5)], scaling_flow(2, 0.3)
    shared, own = kind(JointFlows([flow])), kind(JointFlows([*others, flow]))
    samples = [likelihood.sample_residuals(7, 5, torch.Generator().manual_seed(0)) for likelihood in (shared, own)]
    assert samples[0].shape == (7, 2) and torch.equal(*samples)


def test_the_spread_of_rle_is_that_of_flow_times_q() -> None:
    """A new flow is the standard normal; times a normal of scale s it has the variance s² / (1 + s²)."""
    likelihood = RLE(JointFlows([RealNVP(2)]), "paper", "gaussian", 0.5)
    expected = torch.full((1, 2), math.sqrt(0.25 / 1.25))
    torch.testing.assert_close(likelihood.residual_spread(), expected, rtol=0.03, atol=0)


@pytest.mark.parametrize("given", [{"q": "gaussian"}, {"q_scale": 3.0}])
def test_the_original_form_takes_no_other_q(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"need form='paper'"):
        RLE(JointFlows([RealNVP(2)]), **given)


# --- the basic design -----------------------------------------------------------------------------------------------


def test_basic_predicts_the_image_of_mu() -> None:
    likelihood = Basic(wild_flows(2, spread=0.15))
    output = PoseOutput(torch.randn(3, 4, 2) * 0.3, torch.full((3, 4, 2), 1e-3))
    predicted = likelihood.predict(output)
    z = next(iter(likelihood.flows))(predicted.mu.view(-1, 2))[0]
    torch.testing.assert_close(z.view(3, 4, 2), output.mu, atol=1e-4, rtol=1e-4)


def test_basic_predicts_the_scatter_of_its_density() -> None:
    likelihood = Basic(wild_flows(2, spread=0.15))
    mu, sigma = torch.tensor([[[0.1, -0.2]]]), torch.tensor([[[0.02, 0.05]]])
    z = mu[0] + sigma[0] * torch.randn(50_000, 2, generator=torch.Generator().manual_seed(0))
    x = next(iter(likelihood.flows)).inverse(z)[0]
    torch.testing.assert_close(likelihood.predict(PoseOutput(mu, sigma)).sigma[0, 0], x.std(dim=0), rtol=0.03, atol=0)


# --- gradients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(LIKELIHOODS))
def test_gradients_of_mu_and_sigma_are_right(name: str) -> None:
    likelihood = LIKELIHOODS[name](2).double()
    generator = torch.Generator().manual_seed(3)
    mu, sigma, target = (torch.rand(5, 2, dtype=torch.float64, generator=generator) + 0.2 for _ in range(3))

    def loss(mu: Tensor, sigma: Tensor) -> Tensor:
        return likelihood.loss(mu, sigma, target, torch.arange(5))

    assert torch.autograd.gradcheck(loss, (mu.requires_grad_(), sigma.requires_grad_()))
