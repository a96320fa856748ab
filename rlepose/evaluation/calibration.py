"""Is the model as sure as it should be? Predicted densities and confidences against what was so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.losses import LocationScale
from rlepose.pose.geometry import Floats

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Observations:
    """M labelled joints: what the model said of each, and what was so. Lengths are in px, and in 3-D in mm.

    joint      (M,)    number of the joint
    residual   (M, D)  (label − predicted) / sigma
    error      (M,)    distance of prediction and label
    deviation  (M,)    the standard deviation of that distance's vector: √(Σ over coordinates of variance)
    size       (M,)    the person's size: √area, as in OKS; None in 3-D, where lengths need no such measure
    nll        (M,)    nats, −log of the density a squared pixel, or a cubic mm, at the label
    level      (M,)    probability of the smallest region that reaches the label; uniform in [0, 1] for a true density
    """

    joint: NDArray[np.int64]
    residual: Floats
    error: Floats
    deviation: Floats
    size: Floats | None
    nll: Floats
    level: Floats

    @property
    def per_size(self) -> Floats | float:
        """(M,) what errors and deviations of persons of all sizes are divided by before they are compared."""
        return 1.0 if self.size is None else self.size

    def of(self, joint: int) -> "Observations":
        """Those of one joint."""
        rows = self.joint == joint
        chosen: dict[str, Any] = {name: None if each is None else each[rows] for name, each in vars(self).items()}
        return Observations(**chosen)


@dataclass(frozen=True)
class Compared:
    """N poses beside their labels, in the coordinates whose density the network predicts. Lengths are in px or mm.

    predicted, sigma, truth (N, K, D): joints are numbered as the density numbers them
    visible    (N, K)  0 where a joint has no label, or is not predicted
    unit       (N, 1, D)  what 1 is in the network's mu and sigma
    confidence (N,)    mean of the joints' scores
    quality    (N,)    OKS, or mean error of the joints in mm
    risk       (N,)    1 − OKS, or the same
    size       (N,)    the persons' size: √area, as in OKS; None in 3-D
    """

    predicted: Floats
    sigma: Floats
    truth: Floats
    visible: NDArray[np.integer]
    unit: Floats
    confidence: Floats
    quality: Floats
    risk: Floats
    size: Floats | None = None


@torch.no_grad()
def observe(
    likelihood: LocationScale,
    keypoints: Floats,
    sigma: Floats,
    truth: Floats,
    visible: NDArray[np.integer],
    size: Floats | None = None,
) -> Observations:
    """keypoints, sigma and truth (N, K, D), visible (N, K), size (N,) px or mm -> one row for each labelled joint.

    likelihood: the trained one, in evaluation mode. Its density of pixels or mm is its density of network units,
    stretched: both divide by sigma.
    """
    person, joint = np.nonzero(visible > 0)
    mu, scale, label = (torch.from_numpy(values[person, joint]).float() for values in (keypoints, sigma, truth))
    numbers = torch.from_numpy(joint)
    spread = likelihood.residual_spread().expand(visible.shape[1], -1)[numbers]
    return Observations(
        joint=joint,
        residual=((label - mu) / scale).numpy(),
        error=(label - mu).norm(dim=1).numpy(),
        deviation=(scale * spread).norm(dim=1).numpy(),
        size=None if size is None else size[person],
        nll=-likelihood.log_prob(mu, scale, label, numbers).numpy(),
        level=likelihood.region_level(mu, scale, label, numbers).numpy(),
    )


def coverage(level: Floats) -> Floats:
    """Share of labels inside the region of each of LEVELS: (len(LEVELS),). Equal to LEVELS if calibrated."""
    return (level[:, None] <= np.array(LEVELS)).mean(axis=0)


def calibration_error(level: Floats) -> float:
    """Mean over LEVELS of |coverage − level|: 0 is perfect."""
    return float(np.abs(coverage(level) - LEVELS).mean())


def tail_ratio(residual: Floats) -> float:
    """How heavy the tails of residuals (M, D) are: the 90 % quantile of |residual| over its median, mean over D.

    2.44 for a Gaussian, 3.32 for a Laplace density, whatever their scale.
    """
    median, far = np.quantile(np.abs(residual), [0.5, 0.9], axis=0)
    return float((far / median).mean())


def risk_coverage(confidence: Floats, risk: Floats) -> tuple[Floats, Floats]:
    """Mean risk of the surest persons, for growing shares of all: share (N,), risk (N,).

    Persons of equal confidence stand for each other: each counts with their mean.
    """
    _, group, size = np.unique(-confidence, return_inverse=True, return_counts=True)
    mean_risk = np.bincount(group, weights=risk) / size
    count = np.arange(1, len(risk) + 1)
    return count / len(risk), np.cumsum(np.repeat(mean_risk, size)) / count


def joint_numbers(observations: Observations) -> dict[str, float | None]:
    """Numbers of a set of labelled joints; None for correlations of what does not vary.

    NLL: nats a joint, density a squared pixel, or a cubic mm. sharpness: median predicted standard deviation. error:
    median. NLL_relative, sharpness_relative, error_relative: the same for lengths in person sizes; not in 3-D.
    pearson_sigma_error, spearman_sigma_error: of predicted standard deviation and error, in 2-D both in person sizes.
    """
    o = observations
    relative: dict[str, float | None] = {}
    if o.size is not None:
        relative = {
            "NLL_relative": float((o.nll - o.residual.shape[1] * np.log(o.size)).mean()),
            "sharpness_relative": float(np.median(o.deviation / o.size)),
            "error_relative": float(np.median(o.error / o.size)),
        }
    return {
        "joints": len(o.nll),
        "NLL": float(o.nll.mean()),
        "calibration_error": calibration_error(o.level),
        "sharpness": float(np.median(o.deviation)),
        "error": float(np.median(o.error)),
        **relative,
        **_correlations("sigma_error", o.deviation / o.per_size, o.error / o.per_size),
    }


def calibration_report(
    observations: Observations, compared: Compared, quality: str, joint_names: Sequence[str]
) -> dict[str, Any]:
    """Everything about a model's uncertainty, as plain numbers.

    observations: of the compared poses. quality: its name, OKS or MPJPE. joint_names: as the density numbers them.
    AURC is the mean of the risk-coverage curve, AURC_best the same for a perfect ranking.
    """
    ranking = ranking_report(compared.confidence, compared.risk)
    present = [joint for joint in range(len(joint_names)) if (observations.joint == joint).any()]
    return {
        "overall": {
            **joint_numbers(observations),
            **_correlations(f"confidence_{quality}", compared.confidence, compared.quality),
            **ranking["overall"],
        },
        "joints": {joint_names[joint]: joint_numbers(observations.of(joint)) for joint in present},
        "reliability": {"levels": list(LEVELS), "coverage": coverage(observations.level).tolist()},
        "risk_coverage": ranking["risk_coverage"],
    }


def ranking_report(confidence: Floats, risks: Floats) -> dict[str, Any]:
    """The part of `calibration_report` that needs no sigma: whether the model knows its better poses. Both (N,)."""
    share, risk = risk_coverage(confidence, risks)
    return {
        "overall": {
            "persons": len(risks),
            "risk": float(risk[-1]),
            "AURC": float(risk.mean()),
            "AURC_best": float(risk_coverage(-risks, risks)[1].mean()),
        },
        "risk_coverage": {"coverage": share.tolist(), "risk": risk.tolist()},
    }


def _correlations(name: str, first: Floats, second: Floats) -> dict[str, float | None]:
    from scipy.stats import pearsonr, spearmanr  # takes half a second to import

    # With equal values up to rounding, as from a constant scale, a correlation would be one of rounding errors.
    varies = len(first) > 1 and all(np.ptp(values) > 1e-6 * np.abs(values).max() for values in (first, second))
    return {
        f"pearson_{name}": float(pearsonr(first, second).statistic) if varies else None,
        f"spearman_{name}": float(spearmanr(first, second).statistic) if varies else None,
    }
