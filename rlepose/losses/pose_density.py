"""Densities of the joints of a predicted pose over the picture."""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from rlepose.losses.likelihood import SAMPLES, LocationScale, level_among
from rlepose.pose.geometry import Floats

COVERED = 0.999  # of a density's mass, by a grid
_WIDER = 1.25  # factor of a grid that does not cover it yet
_MOST_TIMES = 30


class _Drawn(NamedTuple):
    """Random residuals (SAMPLES, 2) of a density, and their unnormalised log densities (SAMPLES,), increasing."""

    residuals: Tensor
    log_density: Tensor


class ResidualDensity:
    """The density that a loss has learned for (position − prediction) / scale in 2-D; what is slow is cached.

    joints: K.
    """

    def __init__(self, likelihood: LocationScale, joints: int) -> None:
        self._likelihood = likelihood
        self._joints = torch.arange(joints)
        self._densities = likelihood.density_of(self._joints).tolist()
        self._drawn: dict[int, _Drawn] = {}

    @cached_property
    @torch.no_grad()
    def _log_normaliser(self) -> Tensor:
        at_zero = torch.zeros(len(self._joints), self._likelihood.dims)
        normalised = self._likelihood.residual_log_prob(at_zero, self._joints)
        return self._likelihood.unnormalised_log_prob(at_zero, self._joints) - normalised

    def log_prob(self, residual: Floats, joint: int) -> Floats:
        """Return the log density of residuals (N, 2) of one joint: (N,), nats."""
        return (self._unnormalised(torch.from_numpy(residual), joint) - self._log_normaliser[joint]).numpy()

    def region_level(self, residual: Floats, joint: int) -> Floats:
        """Return the probability of the smallest region of highest density that contains each residual: (N, 2) -> (N,).

        Estimated from random residuals, to about 0.003.
        """
        return level_among(
            self._samples(joint).log_density, self._unnormalised(torch.from_numpy(residual), joint)
        ).numpy()

    def extent(self, joint: int) -> tuple[Floats, Floats]:
        """Return the ends (2,), (2,) of a box outside of which all is beyond the region of COVERED probability."""
        inside = self._samples(joint).residuals[int((1 - COVERED) * SAMPLES) :].double().numpy()
        low, high = inside.min(axis=0), inside.max(axis=0)
        share = np.linspace(0, 1, 101)[:, None]
        for _ in range(_MOST_TIMES):
            corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]], low])
            border = [start + share * (end - start) for start, end in itertools.pairwise(corners)]
            if self.region_level(np.concatenate(border), joint).min() >= COVERED:
                break
            middle, half = (low + high) / 2, (high - low) / 2
            low, high = middle - _WIDER * half, middle + _WIDER * half
        return low, high

    def quantiles(self, joint: int, count: int) -> Floats:
        """Return `count` quantiles of each coordinate, evenly spaced in probability: (count, 2)."""
        return np.quantile(self._samples(joint).residuals.double().numpy(), (np.arange(count) + 0.5) / count, axis=0)

    @torch.no_grad()
    def _samples(self, joint: int) -> _Drawn:
        number = self._densities[joint]
        if number not in self._drawn:
            residuals = self._likelihood.sample_residuals(SAMPLES, joint, torch.Generator().manual_seed(0))
            log_density, order = self._unnormalised(residuals, joint).sort()
            self._drawn[number] = _Drawn(residuals[order], log_density)
        return self._drawn[number]

    @torch.no_grad()
    def _unnormalised(self, residual: Tensor, joint: int) -> Tensor:
        return self._likelihood.unnormalised_log_prob(residual.float(), torch.full((len(residual),), joint))


@dataclass(frozen=True, eq=False)
class PoseDensity:
    """The densities of one person's joints over the picture, as learned by the loss.

    keypoints, scale (K, 2): predicted positions and the network's sigma, px. The scale is not a standard deviation.
    """

    residuals: ResidualDensity
    keypoints: Floats
    scale: Floats

    def log_prob(self, joint: int, points: ArrayLike) -> Floats:
        """Return the log density of a joint's position, nats per squared pixel: points (…, 2) px -> (…)."""
        residual = self._residual(joint, points)
        log_density = self.residuals.log_prob(residual.reshape(-1, 2), joint).reshape(residual.shape[:-1])
        return log_density - np.log(self.scale[joint]).sum()

    def region_level(self, joint: int, points: ArrayLike) -> Floats:
        """Return the probability of the smallest region of highest density that contains each point.

        points (…, 2) px -> (…), in [0, 1]: 0 at the most probable position.
        """
        residual = self._residual(joint, points)
        return self.residuals.region_level(residual.reshape(-1, 2), joint).reshape(residual.shape[:-1])

    def on_grid(self, joint: int, count: int = 101) -> tuple[Floats, Floats, Floats]:
        """Return the log density on an even grid around the region that contains 99.9 % of the probability.

        -> x (count,) px, y (count,) px, log_prob (count, count) with rows along y.
        """
        x, y = self._in_picture(joint, np.linspace(*self.residuals.extent(joint), count)).T
        return x, y, self.log_prob(joint, np.stack(np.meshgrid(x, y), axis=-1))

    def levels_on_grid(self, joint: int, count: int = 101) -> tuple[Floats, Floats, Floats]:
        """Return `region_level` on a grid of the same extent, whose lines are also close where the density is high.

        -> x (X,) px, y (Y,) px, levels (Y, X), with X and Y at most 2 count.
        """
        low, high = self.residuals.extent(joint)
        quantiles = self.residuals.quantiles(joint, count).clip(low, high)
        lines = np.concatenate([np.linspace(low, high, count), quantiles])
        x, y = (np.unique(axis) for axis in self._in_picture(joint, lines).T)
        return x, y, self.region_level(joint, np.stack(np.meshgrid(x, y), axis=-1))

    def _residual(self, joint: int, points: ArrayLike) -> Floats:
        return (np.asarray(points, float) - self.keypoints[joint]) / self.scale[joint]

    def _in_picture(self, joint: int, residuals: Floats) -> Floats:
        return self.keypoints[joint] + self.scale[joint] * residuals
