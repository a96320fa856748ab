"""Noise with a known density on R², with mean 0 and standard deviation 1 in each coordinate."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    StudentT,
)


class Noise(ABC):
    """Draws from torch's global random state."""

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """Return (count, 2)."""

    @abstractmethod
    def log_prob(self, noise: Tensor) -> Tensor:
        """Return the log density, nats: (N, 2) -> (N,)."""


class Torch(Noise):
    """A distribution of torch, shifted and scaled to mean 0 and standard deviation 1."""

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution
        self.mean, self.std = distribution.mean, distribution.stddev

    def sample(self, count: int) -> Tensor:
        return (self.distribution.sample((count,)) - self.mean) / self.std

    def log_prob(self, noise: Tensor) -> Tensor:
        return self.distribution.log_prob(noise * self.std + self.mean) + self.std.log().sum()


class Banana(Noise):
    """Skewed and bent: u and v normal, (u, a (u² − 1) + b v) with 2 a² + b² = 1."""

    a, b = 0.6, math.sqrt(1 - 2 * 0.6**2)

    def sample(self, count: int) -> Tensor:
        u, v = torch.randn(2, count)
        return torch.stack([u, self.a * (u.square() - 1) + self.b * v], dim=1)

    def log_prob(self, noise: Tensor) -> Tensor:
        u, y = noise.unbind(dim=1)
        v = (y - self.a * (u.square() - 1)) / self.b
        return -0.5 * (u.square() + v.square()) - math.log(2 * math.pi * self.b)


def _independent(distribution: Distribution) -> Distribution:
    return Independent(distribution.expand((2,)), 1)


def _two_modes() -> Distribution:
    centres = torch.tensor([[0.0, 0.0], [4.0, 2.5]])
    return MixtureSameFamily(Categorical(torch.tensor([0.7, 0.3])), Independent(Normal(centres, torch.ones(2, 2)), 1))


NOISES: dict[str, Noise] = {
    "gaussian": Torch(_independent(Normal(0.0, 1.0))),
    "laplace": Torch(_independent(Laplace(0.0, 1.0))),
    "student-t": Torch(_independent(StudentT(3.0))),
    "two modes": Torch(_two_modes()),
    "correlated": Torch(MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.9], [0.9, 1.0]]))),
    "banana": Banana(),
}
