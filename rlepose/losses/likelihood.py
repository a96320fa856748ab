"""Losses that score the label's density under the prediction: they teach sigma as well as mu."""

import math

import torch
from torch import Tensor, nn

from rlepose.codec import PoseOutput
from rlepose.losses.flows import RealNVP


class RLE(nn.Module):
    """Residual log-likelihood estimation, with the formula of the authors' code.

    For a labelled joint with e = mu − target, and φ the flow's density of e / sigma, the loss is the sum over its D
    coordinates of

        [log sigma − log φ]  +  [log(sigma √(2π)) + |e| / (√2 sigma)],

    summed over joints, averaged over the batch. In 2-D this is twice log sigma − log φ − log Q with Q a Laplace density
    of scale 2√2, up to a constant: equation 8 of Li et al. (ICCV 2021) without its normaliser, doubled.
    The value is a negative log-density: it falls below zero as soon as sigma is small, and that is as it should be.
    """

    needs_sigma = True

    def __init__(self, dims: int = 2, depth: int = 6, width: int = 64) -> None:
        super().__init__()
        self.flow = RealNVP(dims, depth, width)

    def forward(self, output: PoseOutput, target: Tensor, weight: Tensor) -> Tensor:
        """output.mu, output.sigma, target, weight (B, K, D) -> scalar. Weight 0 on any coordinate: no label."""
        if output.sigma is None:
            raise ValueError("RLE needs a sigma; build the head with predict_sigma=True")
        # Select first, multiply never: what a joint without label holds (NaN, infinity) must not reach the flow.
        labelled = (weight > 0).all(dim=-1)
        mu, sigma = output.mu[labelled], output.sigma[labelled]
        error, weight = mu - target[labelled], weight[labelled]
        log_phi = self.flow.log_prob(error / sigma)
        flow_term = sigma.log() - log_phi[:, None]
        # 1e-9 as in the original; beside a sigma of practical size it changes nothing.
        q_term = (sigma * math.sqrt(2 * math.pi)).log() + error.abs() / (math.sqrt(2) * sigma + 1e-9)
        return ((flow_term + q_term) * weight).sum() / len(target)

    @torch.no_grad()
    def residual_spread(self, count: int = 8192) -> Tensor:
        """Standard deviation of (target − mu) / sigma in each coordinate, as the flow has learned it: (D,).

        sigma alone is no standard deviation: this loss lets the flow be narrow and sigma large instead. Their product
        is what the labels' scatter is estimated to be.
        """
        device = next(self.flow.parameters()).device
        return self.flow.sample(count, torch.Generator(device).manual_seed(0)).std(dim=0)
