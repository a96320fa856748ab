"""Making sigma honest after training: a correction of sigma, fitted on persons that training has not seen."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.errors import InputError
from rlepose.evaluation.choices import Method
from rlepose.losses import LocationScale
from rlepose.losses.criterion import SMALLEST_SIGMA
from rlepose.pose.geometry import Floats

_LOG_FACTORS = np.linspace(-4, 4, 65)  # around the factor that makes mean |residual| right


@dataclass(frozen=True)
class Recalibration:
    """A correction of sigma, in network units.

    method 'scale':       sigma times scale[0].
           'joint_scale': sigma times scale[k], k the joint as the network numbers it.
           'isotonic':    a growing map of sigma, linear between the knots (sigma, corrected sigma).
    """

    method: Method
    scale: tuple[float, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()

    def apply(self, sigma: Floats) -> Floats:
        """(N, K, D) -> (N, K, D)."""
        if self.method == "isotonic":
            x, y = np.array(self.knots).T
            return np.interp(sigma, x, y)
        return sigma * np.array(self.scale)[:, None]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Recalibration":
        """What `to_dict` gave."""
        return cls(tree["method"], tuple(tree["scale"]), tuple((float(x), float(y)) for x, y in tree["knots"]))


def fit_recalibration(
    method: Method, likelihood: LocationScale, mu: Floats, sigma: Floats, target: Floats, visible: NDArray[np.integer]
) -> Recalibration:
    """mu, sigma and target (N, K, D) in network units, visible (N, K).

    The scales maximise the likelihood. The isotonic map is the growing function of sigma nearest, in the squared mean,
    to |target − mu| over the density's mean |residual|: for a Laplace density the most likely one.
    Raises InputError where there is nothing to fit on.
    """
    person, joint = np.nonzero(visible > 0)
    if len(person) == 0:
        raise InputError("no labelled joint to fit a recalibration on")
    scale = sigma[person, joint]
    residual = (target[person, joint] - mu[person, joint]) / scale
    if method == "isotonic":
        if np.ptp(scale) <= 1e-6 * scale.max():
            raise InputError("--method isotonic needs a model with a learned sigma; use scale or joint_scale")
        return Recalibration(method, knots=_isotonic_knots(likelihood, joint, residual, scale))
    joints = visible.shape[1]
    groups = joint if method == "joint_scale" else np.zeros_like(joint)
    factors = _best_factors(likelihood, joint, residual, groups)
    if method == "joint_scale":  # a joint that never has a label keeps its sigma
        return Recalibration(method, scale=tuple(factors.get(k, 1.0) for k in range(joints)))
    return Recalibration(method, scale=(factors[0],))


@torch.no_grad()
def _best_factors(
    likelihood: LocationScale, joint: NDArray[np.integer], residual: Floats, group: NDArray[np.integer]
) -> dict[int, float]:
    """The factor of sigma with the highest likelihood, for each group of rows."""
    rows, numbers = torch.from_numpy(residual).float(), torch.from_numpy(joint)
    # In training mode the normaliser is computed on fewer nodes: a constant, which does not move the best factor.
    likelihood = copy.deepcopy(likelihood).train()
    log_factors = _LOG_FACTORS + float(np.log(np.abs(residual / _mean_residual(likelihood, joint)).mean()))
    nll = []
    for log_factor in log_factors:
        values = (
            rows.shape[1] * log_factor
            - likelihood.residual_log_prob(rows * float(np.exp(-log_factor)), numbers).numpy()
        )
        nll.append(np.bincount(group, weights=values) / np.maximum(np.bincount(group), 1))
    per_group = np.array(nll).T
    return {int(g): float(np.exp(_lowest(log_factors, per_group[g]))) for g in np.unique(group)}


def _lowest(x: Floats, y: Floats) -> float:
    """Where the parabola through the lowest of evenly spaced points and its neighbours is lowest."""
    i = int(np.clip(np.argmin(y), 1, len(y) - 2))
    left, middle, right = y[i - 1 : i + 2]
    curvature = left - 2 * middle + right
    step = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
    return float(x[i] + np.clip(step, -1, 1) * (x[1] - x[0]))


@torch.no_grad()
def _isotonic_knots(
    likelihood: LocationScale, joint: NDArray[np.integer], residual: Floats, sigma: Floats
) -> tuple[tuple[float, float], ...]:
    from scipy.optimize import isotonic_regression  # takes half a second to import

    expected = _mean_residual(likelihood, joint)
    order = np.argsort(sigma, axis=None)
    x, y = sigma.ravel()[order], (np.abs(residual) * sigma / expected).ravel()[order]
    fitted = isotonic_regression(y)
    # A block of equal values becomes one knot, at its mean sigma.
    starts = fitted.blocks[:-1]
    means = [float(part.mean()) for part in np.split(x, starts[1:])]
    return tuple((mean, max(float(fitted.x[start]), SMALLEST_SIGMA)) for mean, start in zip(means, starts, strict=True))


def _mean_residual(likelihood: LocationScale, joint: NDArray[np.integer]) -> Floats:
    """What |residual| is in the mean, for each row: (N,) -> (N, D)."""
    return likelihood.mean_residual()[likelihood.density_of(torch.from_numpy(joint))].numpy()
