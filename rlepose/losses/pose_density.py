"""Densities of the joints of a predicted pose over the picture."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from rlepose.losses.likelihood import LocationScale
from rlepose.pose.geometry import Floats


class ResidualDensity:
    """The density that a loss has learned for (position − prediction) / scale in 2-D; slow constants are cached.

    spread (K, 2): the standard deviation of each joint's residual.
    """

    def __init__(self, likelihood: LocationScale, spread: Floats) -> None:
        self._likelihood = likelihood
        self.spread = spread
        self._joints = torch.arange(len(spread))

    @cached_property
    @torch.no_grad()
    def _log_normaliser(self) -> Tensor:
        at_zero = torch.zeros(len(self._joints), self._likelihood.dims)
        normalised = self._likelihood.residual_log_prob(at_zero, self._joints)
        return self._likelihood.unnormalised_log_prob(at_zero, self._joints) - normalised

    @torch.no_grad()
    def log_prob(self, residual: Floats, joint: int) -> Floats:
        """Return the log density of residuals (N, 2) of one joint: (N,), nats."""
        rows = torch.from_numpy(residual).float()
        values = self._likelihood.unnormalised_log_prob(rows, torch.full((len(rows),), joint))
        return (values - self._log_normaliser[joint]).numpy()


@dataclass(frozen=True, eq=False)
class PoseDensity:
    """The densities of one person's joints over the picture, as learned by the loss.

    keypoints, scale (K, 2): predicted positions and the network's sigma, px. The scale is not a standard deviation:
    multiply it by the spread of `residuals` to get one.
    """

    residuals: ResidualDensity
    keypoints: Floats
    scale: Floats

    def log_prob(self, joint: int, points: ArrayLike) -> Floats:
        """Return the log density of a joint's position, nats per squared pixel: points (…, 2) px -> (…)."""
        points = np.asarray(points, float)
        scale = self.scale[joint]
        residual = (points - self.keypoints[joint]) / scale
        return (self.residuals.log_prob(residual.reshape(-1, 2), joint) - np.log(scale).sum()).reshape(
            points.shape[:-1]
        )

    def on_grid(self, joint: int, radius: float = 4.0, count: int = 101) -> tuple[Floats, Floats, Floats]:
        """Return the log density on a grid that spans `radius` standard deviations around the prediction.

        -> x (count,) px, y (count,) px, log_prob (count, count) with rows along y.
        """
        reach = radius * self.scale[joint] * self.residuals.spread[joint]
        x, y = np.linspace(self.keypoints[joint] - reach, self.keypoints[joint] + reach, count).T
        return x, y, self.log_prob(joint, np.stack(np.meshgrid(x, y), axis=-1))
