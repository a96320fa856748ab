"""Compare predicted densities and confidences with the labels: is the uncertainty calibrated?"""

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
    """M labelled joints with their predictions. Lengths are in px, and in 3-D in mm.

    joint      (M,)    index of the joint
    residual   (M, D)  (label − prediction) / sigma
    error      (M,)    distance between prediction and label
    deviation  (M,)    its predicted standard deviation: √(Σ over coordinates of the variance)
    size       (M,)    size of the person: √area, as in OKS; None in 3-D
    nll        (M,)    nats, −log of the density per squared pixel, or per cubic mm, at the label
    level      (M,)    probability of the smallest region that contains the label; uniform if the density is correct
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
        """(M,) divisor that makes errors and deviations of persons of different sizes comparable."""
        return 1.0 if self.size is None else self.size

    def of(self, joint: int) -> "Observations":
        """Select the observations of one joint."""
        rows = self.joint == joint
        chosen: dict[str, Any] = {name: None if each is None else each[rows] for name, each in vars(self).items()}
        return Observations(**chosen)


@dataclass(frozen=True)
class Compared:
    """N poses with their labels, in the coordinates whose density the network predicts. Lengths are in px or mm.

    predicted, sigma, truth (N, K, D): joints are numbered as the density numbers them
    visible    (N, K)  0 if a joint has no label, or is not predicted
    unit       (N, 1, D)  the size of 1 in the network's mu and sigma
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
    """Return one row for each labelled joint.

    likelihood: the trained one, in evaluation mode. keypoints, sigma, truth: (N, K, D) px or mm. visible: (N, K).
    size: (N,) px, None in 3-D. Residuals are the same in these and in network units, because both are divided by sigma.
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
    """Return the fraction of labels inside the region of each of LEVELS, (len(LEVELS),): LEVELS, if calibrated."""
    return (level[:, None] <= np.array(LEVELS)).mean(axis=0)


def calibration_error(level: Floats) -> float:
    """Return the mean over LEVELS of |coverage − level|: 0 is perfect."""
    return float(np.abs(coverage(level) - LEVELS).mean())


def tail_ratio(residual: Floats) -> float:
    """Return the tail weight of residuals (M, D): 90 % quantile of |residual| divided by its median, mean over D.

    2.44 for a Gaussian, 3.32 for a Laplace density of any scale.
    """
    median, far = np.quantile(np.abs(residual), [0.5, 0.9], axis=0)
    return float((far / median).mean())


def risk_coverage(confidence: Floats, risk: Floats) -> tuple[Floats, Floats]:
    """Return the mean risk of the most confident persons for increasing fractions of all: fraction (N,), risk (N,).

    Persons with equal confidence are interchangeable: each counts with their mean risk.
    """
    _, group, size = np.unique(-confidence, return_inverse=True, return_counts=True)
    mean_risk = np.bincount(group, weights=risk) / size
    count = np.arange(1, len(risk) + 1)
    return count / len(risk), np.cumsum(np.repeat(mean_risk, size)) / count


def joint_numbers(observations: Observations) -> dict[str, float | None]:
    """Return metrics of a set of labelled joints; correlations with a constant are None.

    NLL: nats per joint, for a density per squared pixel, or per cubic mm. sharpness: median predicted standard
    deviation, px or mm. error: median, px or mm. NLL_relative, sharpness_relative, error_relative: the same for lengths
    in person sizes, only in 2-D. pearson_sigma_error, spearman_sigma_error: of predicted standard deviation and error,
    in 2-D both in person sizes.
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
    """Return everything about a model's uncertainty as plain numbers.

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
    """Return the part of `calibration_report` that needs no sigma: whether better poses have higher confidence.

    confidence, risks: (N,).
    """
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
    from scipy.stats import pearsonr, spearmanr  # the import takes half a second

    # If values are equal up to rounding, as for a constant scale, the correlation would be one of rounding errors.
    varies = len(first) > 1 and all(np.ptp(values) > 1e-6 * np.abs(values).max() for values in (first, second))
    return {
        f"pearson_{name}": float(pearsonr(first, second).statistic) if varies else None,
        f"spearman_{name}": float(spearmanr(first, second).statistic) if varies else None,
    }
