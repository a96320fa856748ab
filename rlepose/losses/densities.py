"""Simple densities for losses and flows, with independent coordinates centred at 0. `DENSITIES` maps names to them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def log_gaussian(x: Tensor, scale: float = 1.0) -> Tensor:
    """Return the log density of independent normals: (N, D) -> (N,), nats."""
    normaliser = x.shape[1] * math.log(scale * math.sqrt(2 * math.pi))
    return -0.5 * (x / scale).square().sum(dim=1) - normaliser


def log_laplace(x: Tensor, scale: float = 1.0) -> Tensor:
    """Return the log density of independent Laplace variables: (N, D) -> (N,), nats."""
    return x.abs().sum(dim=1) / -scale - x.shape[1] * math.log(2 * scale)


def gaussian_quantile(share: Tensor) -> Tensor:
    """Return the quantiles of a standard normal. share: probabilities in (0, 1)."""
    return torch.special.ndtri(share)


def laplace_quantile(share: Tensor) -> Tensor:
    """Return the quantiles of a Laplace density of scale 1. share: probabilities in (0, 1)."""
    from_middle = share - 0.5
    return -from_middle.sign() * torch.log1p(-2 * from_middle.abs())


def sample_gaussian(count: int, dims: int, generator: torch.Generator) -> Tensor:
    """Draw points from a standard normal: (count, dims) on the generator's device."""
    return torch.randn(count, dims, generator=generator, device=generator.device)


def sample_laplace(count: int, dims: int, generator: torch.Generator) -> Tensor:
    """Draw points from a Laplace density of scale 1: (count, dims) on the generator's device."""
    # The difference of two exponential variables has a Laplace density.
    pair = torch.empty(2, count, dims, device=generator.device).exponential_(generator=generator)
    return pair.diff(dim=0)[0]


@dataclass(frozen=True)
class SimpleDensity:
    """log_prob: points (N, D) and a scale -> (N,). quantile, sample: the functions above, for scale 1.

    spread, mean_size: for scale 1, the standard deviation of a coordinate and the mean of its absolute value.
    """

    log_prob: Callable[..., Tensor]
    quantile: Callable[[Tensor], Tensor]
    sample: Callable[[int, int, torch.Generator], Tensor]
    spread: float
    mean_size: float


DENSITIES = {
    "gaussian": SimpleDensity(log_gaussian, gaussian_quantile, sample_gaussian, 1.0, math.sqrt(2 / math.pi)),
    "laplace": SimpleDensity(log_laplace, laplace_quantile, sample_laplace, math.sqrt(2), 1.0),
}
