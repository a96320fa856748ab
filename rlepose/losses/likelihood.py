"""Densities of a joint's label given its prediction. Each is a loss: the negative log-density, in nats.

All write the residual as (target − mu) / sigma and take and give network units (codec.py): sigma is a scale, and a
density is per unit of crop width and height. A negative loss is no error: a density may exceed 1.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from rlepose.losses.densities import DENSITIES, SimpleDensity, log_gaussian
from rlepose.losses.flows import JointFlows
from rlepose.pose.codec import PoseOutput

SAMPLES = 1 << 15  # for what is estimated by drawing from a density: spreads, and levels to about 0.003


class JointLikelihood(nn.Module, ABC):
    """The density p(target | mu, sigma) of a joint in `dims` coordinates.

    Below, mu, sigma and target are (N, D), one row a joint, and joint (N,) holds the joints' numbers.

    needs_sigma: whether the network has to give one. about_sigma: what it is then, for the model card.
    """

    needs_sigma: ClassVar[bool] = True
    about_sigma: ClassVar[str]

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    @abstractmethod
    def log_prob(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        """Normalised log density at the target, nats: (N,)."""

    def loss(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        """What training minimises: (N,). The negative log density, where a class does not say otherwise."""
        return -self.log_prob(mu, sigma, target, joint)

    @abstractmethod
    def residual_spread(self) -> Tensor:
        """Standard deviation of target − mu in units of sigma: (1, D), or (K, D) with a flow a joint."""

    def predict(self, output: PoseOutput) -> PoseOutput:
        """The predicted positions and scales: what the network gives, but for `Basic`."""
        return output


class LocationScale(JointLikelihood):
    """A density of the residual, moved to mu and stretched by sigma: p(x) = p̄((x − mu) / sigma) / Π sigma."""

    @abstractmethod
    def residual_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        """Normalised log density p̄ of residuals (N, D): (N,), nats."""

    def unnormalised_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        """`residual_log_prob` up to a number for each density; for RLE without the integral."""
        return self.residual_log_prob(residual, joint)

    @abstractmethod
    def sample_residuals(self, count: int, joint: int, generator: torch.Generator) -> Tensor:
        """Random residuals of one joint: (count, D), on the generator's device."""

    @property
    def num_densities(self) -> int:
        """How many densities p̄ there are: 1 that all joints share, or K, of which joint k has the k-th."""
        return 1

    def density_of(self, joint: Tensor) -> Tensor:
        """The number of each row's density p̄: joint (N,) -> (N,)."""
        return torch.zeros_like(joint)

    def log_prob(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        return self.residual_log_prob((target - mu) / sigma, joint) - sigma.log().sum(dim=1)

    @torch.no_grad()
    def region_level(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        """Probability of the smallest region (highest density) with the target on its border: (N,) in [0, 1].

        Uniform over [0, 1] where targets follow the density.
        """
        # The regions of x are the residual's: one set of samples serves all rows of a joint.
        observed = self.unnormalised_log_prob((target - mu) / sigma, joint)
        density = self.density_of(joint)
        samples = self.sample_densities(mu.device).flatten(0, 1)
        joint_of_sample = torch.arange(self.num_densities, device=mu.device).repeat_interleave(SAMPLES)
        densities = self.unnormalised_log_prob(samples, joint_of_sample).view(-1, SAMPLES).sort(dim=1).values
        levels = torch.empty_like(observed)
        for k in range(self.num_densities):
            rows = density == k
            levels[rows] = 1 - torch.searchsorted(densities[k], observed[rows]).to(levels.dtype) / SAMPLES
        return levels

    def residual_spread(self) -> Tensor:
        return self.sample_densities().std(dim=1)

    def mean_residual(self) -> Tensor:
        """The mean of |residual|: (1, D), or (K, D) with a flow a joint."""
        return self.sample_densities().abs().mean(dim=1)

    @torch.no_grad()
    def sample_densities(self, device: torch.device | None = None) -> Tensor:
        """Random residuals of each density p̄: (num_densities, SAMPLES, D), the same at every call.

        device: the flow's; it need be given where a likelihood without parameters works on another than the CPU.
        """
        device = device or next((parameter.device for parameter in self.parameters()), torch.device("cpu"))
        generator = torch.Generator(device).manual_seed(0)
        return torch.stack([self.sample_residuals(SAMPLES, k, generator) for k in range(self.num_densities)])


class FixedDensity(LocationScale):
    """Independent coordinates with a density that is not learned."""

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
    """Independent Laplace densities with scale sigma: the mean of |target − mu|; the standard deviation is √2 sigma."""

    density = DENSITIES["laplace"]
    about_sigma = "the expected absolute error of each coordinate; its standard deviation is √2 sigma"


class FlowDensity(LocationScale):
    """A density of the residual that a flow has a part in."""

    about_sigma = (
        "a scale whose unit the flow has chosen: a standard deviation is sigma times the flow's spread, by which "
        "`Predictor` and the calibration report multiply"
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
    """Direct likelihood estimation: the residual's density is the flow's own (Li et al., section 3.2)."""

    def residual_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        return self.flows.log_prob(residual, joint)

    def sample_residuals(self, count: int, joint: int, generator: torch.Generator) -> Tensor:
        return self.flows.of(joint).sample(count, generator)


class Basic(JointLikelihood):
    """The basic design (Li et al., section 3.1): the flow maps N(mu, sigma) to a density of the absolute position.

    log p(x) = log N(f⁻¹(x); mu, sigma) + log |det ∂f⁻¹/∂x|, and the prediction is f(mu), so the flow stays at
    inference. It fits the absolute positions of all labels at once, not how they scatter around a prediction.
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
        """f(mu), and as sigma the root of the summed squares of [f(mu + sigma_i) − f(mu − sigma_i)] / 2 over axes i."""
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
