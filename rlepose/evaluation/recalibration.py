"""Recalibrate sigma after training: a correction of sigma, fitted on persons that were not in the training data."""

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

_LOG_FACTORS = np.linspace(-4, 4, 65)  # relative to the factor that matches the mean of |residual|


@dataclass(frozen=True)
class Recalibration:
    """A correction of sigma, in network units.

    method 'scale':       sigma times scale[0].
           'joint_scale': sigma times scale[k] for joint k, as the network numbers it.
           'isotonic':    an increasing function of sigma, linear between the knots (sigma, corrected sigma).
    """

    method: Method
    scale: tuple[float, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()

    def apply(self, sigma: Floats) -> Floats:
        """Correct sigma (N, K, D)."""
        if self.method == "isotonic":
            x, y = np.array(self.knots).T
            return np.interp(sigma, x, y)
        return sigma * np.array(self.scale)[:, None]

    def to_dict(self) -> dict[str, Any]:
        """Return plain types, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Recalibration":
        """Restore the output of `to_dict`."""
        return cls(tree["method"], tuple(tree["scale"]), tuple((float(x), float(y)) for x, y in tree["knots"]))


def fit_recalibration(
    method: Method, likelihood: LocationScale, mu: Floats, sigma: Floats, target: Floats, visible: NDArray[np.integer]
) -> Recalibration:
    """Fit a correction to predictions and labels.

    mu, sigma, target: (N, K, 2) in network units. visible: (N, K).
    Scales maximise the likelihood. The isotonic map is the increasing function of sigma with the smallest squared
    distance to |target − mu| / mean |residual| of the density: for a Laplace density, the most likely one.

    Raises InputError if there is nothing to fit on.
    """
    person, joint = np.nonzero(visible > 0)
    if len(person) == 0:
        raise InputError("no labelled joints to fit a recalibration on; use another annotation file")
    scale = sigma[person, joint]
    residual = (target[person, joint] - mu[person, joint]) / scale
    if method == "isotonic":
        if np.ptp(scale) <= 1e-6 * scale.max():
            raise InputError("--method isotonic needs a model with a learned sigma; use scale or joint_scale")
        return Recalibration(method, knots=_isotonic_knots(likelihood, joint, residual, scale))
    joints = visible.shape[1]
    groups = joint if method == "joint_scale" else np.zeros_like(joint)
    factors = _best_factors(likelihood, joint, residual, groups)
    if method == "joint_scale":  # joints without labels keep their sigma
        return Recalibration(method, scale=tuple(factors.get(k, 1.0) for k in range(joints)))
    return Recalibration(method, scale=(factors[0],))


@torch.no_grad()
def _best_factors(
    likelihood: LocationScale, joint: NDArray[np.integer], residual: Floats, group: NDArray[np.integer]
) -> dict[int, float]:
    """Return the factor of sigma with the highest likelihood, for each group of rows."""
    rows, numbers = torch.from_numpy(residual).float(), torch.from_numpy(joint)
    # In training mode, the normaliser uses fewer points: a constant, which does not move the maximum.
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
    """Return the minimum of the parabola through the lowest of evenly spaced points and its neighbours."""
    i = int(np.clip(np.argmin(y), 1, len(y) - 2))
    left, middle, right = y[i - 1 : i + 2]
    curvature = left - 2 * middle + right
    step = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
    return float(x[i] + np.clip(step, -1, 1) * (x[1] - x[0]))


@torch.no_grad()
def _isotonic_knots(
    likelihood: LocationScale, joint: NDArray[np.integer], residual: Floats, sigma: Floats
) -> tuple[tuple[float, float], ...]:
    from scipy.optimize import isotonic_regression  # the import takes half a second

    expected = _mean_residual(likelihood, joint)
    order = np.argsort(sigma, axis=None)
    x, y = sigma.ravel()[order], (np.abs(residual) * sigma / expected).ravel()[order]
    fitted = isotonic_regression(y)
    # A block of equal values becomes one knot, at the mean of its sigmas.
    starts = fitted.blocks[:-1]
    means = [float(part.mean()) for part in np.split(x, starts[1:])]
    return tuple((mean, max(float(fitted.x[start]), SMALLEST_SIGMA)) for mean, start in zip(means, starts, strict=True))


def _mean_residual(likelihood: LocationScale, joint: NDArray[np.integer]) -> Floats:
    """Return the mean of |residual| for each row: (N,) -> (N, D)."""
    return likelihood.mean_residual()[likelihood.density_of(torch.from_numpy(joint))].numpy()
