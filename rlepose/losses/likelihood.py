"""Densities of a joint's label given its prediction. Each is a loss: the negative log density, in nats.

All use the residual (target − mu) / sigma and network units (codec.py): sigma is a scale, and a density is per unit of
crop width and height. A loss may be negative, since a density may exceed 1.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from rlepose.losses.densities import DENSITIES, SimpleDensity, log_gaussian
from rlepose.losses.flows import JointFlows
from rlepose.pose.codec import PoseOutput

SAMPLES = 1 << 15  # random points for estimates from a density: spreads, and levels to about 0.003


def level_among(samples: Tensor, observed: Tensor) -> Tensor:
    """Return the probability of the highest-density region whose border has an observed log density: (N,) in [0, 1].

    samples: (M,) log densities of random points of the density, in increasing order. observed: (N,).
    """
    return 1 - torch.searchsorted(samples, observed).to(observed.dtype) / len(samples)


class JointLikelihood(nn.Module, ABC):
    """The density p(target | mu, sigma) of a joint in `dims` coordinates.

    In all methods, mu, sigma and target are (N, D), one row per joint, and joint (N,) contains joint indices.

    needs_sigma: whether the network must predict sigma. about_sigma: the meaning of sigma, for the model card.
    """

    needs_sigma: ClassVar[bool] = True
    about_sigma: ClassVar[str]

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    @abstractmethod
    def log_prob(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        """Return the normalised log density at the target, nats: (N,)."""

    def loss(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        """Return the loss that training minimises: (N,). The negative log density unless a class overrides it."""
        return -self.log_prob(mu, sigma, target, joint)

    @abstractmethod
    def residual_spread(self) -> Tensor:
        """Return the standard deviation of target − mu in units of sigma: (1, D), or (K, D) with a flow per joint."""

    def predict(self, output: PoseOutput) -> PoseOutput:
        """Return predicted positions and scales: the network's output, except for `Basic`."""
        return output


class LocationScale(JointLikelihood):
    """A density of the residual, moved to mu and stretched by sigma: p(x) = p̄((x − mu) / sigma) / Π sigma."""

    @abstractmethod
    def residual_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        """Return the normalised log density p̄ of residuals (N, D): (N,), nats."""

    def unnormalised_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        """Return `residual_log_prob` up to a constant per density: for RLE, without the integral."""
        return self.residual_log_prob(residual, joint)

    @abstractmethod
    def sample_residuals(self, count: int, joint: int, generator: torch.Generator) -> Tensor:
        """Draw residuals of one joint: (count, D), on the generator's device."""

    @property
    def num_densities(self) -> int:
        """Number of densities p̄: 1 that all joints share, or K, one per joint."""
        return 1

    def density_of(self, joint: Tensor) -> Tensor:
        """Return the index of each row's density p̄: joint (N,) -> (N,)."""
        return torch.zeros_like(joint)

    def log_prob(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        return self.residual_log_prob((target - mu) / sigma, joint) - sigma.log().sum(dim=1)

    @torch.no_grad()
    def region_level(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        """Return the probability of the highest-density region whose border contains the target: (N,) in [0, 1].

        Uniform over [0, 1] if targets follow the density.
        """
        # Regions of x correspond to regions of the residual, so one set of samples serves all rows of a joint.
        observed = self.unnormalised_log_prob((target - mu) / sigma, joint)
        density = self.density_of(joint)
        samples = self.sample_densities(mu.device).flatten(0, 1)
        joint_of_sample = torch.arange(self.num_densities, device=mu.device).repeat_interleave(SAMPLES)
        densities = self.unnormalised_log_prob(samples, joint_of_sample).view(-1, SAMPLES).sort(dim=1).values
        levels = torch.empty_like(observed)
        for k in range(self.num_densities):
            rows = density == k
            levels[rows] = level_among(densities[k], observed[rows])
        return levels

    def residual_spread(self) -> Tensor:
        return self.sample_densities().std(dim=1)

    def mean_residual(self) -> Tensor:
        """Return the mean of |residual|: (1, D), or (K, D) with a flow per joint."""
        return self.sample_densities().abs().mean(dim=1)

    @torch.no_grad()
    def sample_densities(self, device: torch.device | None = None) -> Tensor:
        """Draw residuals of each density p̄: (num_densities, SAMPLES, D), the same in every call.

        device: device of the flow; only needed by a likelihood without parameters that is not on the CPU.
        """
        device = device or next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        generator = torch.Generator(device).manual_seed(0)
        return torch.stack([self.sample_residuals(SAMPLES, k, generator) for k in range(self.num_densities)])


class FixedDensity(LocationScale):
    """Independent coordinates with a fixed density."""

    density: ClassVar[SimpleDensity]

    def residual_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        return self.density.log_prob(residual)

    def sample_residuals(self, count: int, joint: int, generator: torch.Generator) -> Tensor:
        return self.density.sample(count, self.dims, generator)

    def residual_spread(self) -> Tensor:
        return torch.full((1, self.dims), self.density.spread)

    def mean_residual(self) -> Tensor:
        return torch.full((1, self.dims), self.density.mean_size)


class Gaussian(FixedDensity):
    """Independent normals with standard deviation sigma."""

    density = DENSITIES["gaussian"]
    about_sigma = "the standard deviation of each coordinate"


class Laplace(FixedDensity):
    """Independent Laplace densities with scale sigma = the mean of |target − mu|; the standard deviation is √2 sigma.

    Example:
        >>> mu, sigma, target = torch.zeros(1, 2), torch.full((1, 2), 0.1), torch.full((1, 2), 0.1)
        >>> loss = Laplace(dims=2).loss(mu, sigma, target, joint=torch.tensor([0]))
        >>> f"{loss.item():.3f}"  # 2 (log 0.2 + 1); may be negative
        '-1.219'
    """

    density = DENSITIES["laplace"]
    about_sigma = "the expected absolute error of each coordinate; its standard deviation is √2 sigma"


class FlowDensity(LocationScale):
    """A density of the residual that involves a flow."""

    about_sigma = (
        "a scale in a unit that the flow has learned: the standard deviation is sigma times the flow's spread, a "
        "factor that `Predictor` and the calibration report apply"
    )

    def __init__(self, flows: JointFlows) -> None:
        super().__init__(flows.dims)
        self.flows = flows

    @property
    def num_densities(self) -> int:
        return len(self.flows)

    def density_of(self, joint: Tensor) -> Tensor:
        return self.flows.numbers(joint)


class DLE(FlowDensity):
    """Direct likelihood estimation: the density of the residual is the flow's density (Li et al., section 3.2)."""

    def residual_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        return self.flows.log_prob(residual, joint)

    def sample_residuals(self, count: int, joint: int, generator: torch.Generator) -> Tensor:
        return self.flows.of(joint).sample(count, generator)


class Basic(JointLikelihood):
    """The basic design (Li et al., section 3.1): the flow maps N(mu, sigma) to a density of the absolute position.

    log p(x) = log N(f⁻¹(x); mu, sigma) + log |det ∂f⁻¹/∂x|, and the prediction is f(mu), so inference needs the flow.
    The flow fits the absolute positions of all labels at once, not their scatter around a prediction.
    """

    about_sigma = "the scale of the position's density, which is not centred at the prediction: no error bar"

    def __init__(self, flows: JointFlows) -> None:
        super().__init__(flows.dims)
        self.flows = flows

    def log_prob(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        z, log_det = self.flows(target, joint)
        return log_gaussian((z - mu) / sigma) - sigma.log().sum(dim=1) + log_det

    def residual_spread(self) -> Tensor:
        return next(self.parameters()).new_ones(1, self.dims)

    def predict(self, output: PoseOutput) -> PoseOutput:
        """Return f(mu), with sigma = the root of the sum over axes i of ([f(mu + sigma_i) − f(mu − sigma_i)] / 2)²."""
        assert output.sigma is not None
        batch, joints, dims = output.mu.shape
        joint = torch.arange(joints, device=output.mu.device).repeat(batch)
        mu, sigma = output.mu.reshape(-1, dims), output.sigma.reshape(-1, dims)
        variance = torch.zeros_like(mu)
        for step in torch.diag_embed(sigma).unbind(dim=1):
            half = (self.flows.inverse(mu + step, joint)[0] - self.flows.inverse(mu - step, joint)[0]) / 2
            variance = variance + half.square()
        position = self.flows.inverse(mu, joint)[0]
        return PoseOutput(position.view_as(output.mu), variance.sqrt().view_as(output.mu))
