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
    """M labelled joints: what the model said of each, and what was so.

    joint      (M,)    number of the joint
    residual   (M, 2)  (label − predicted) / sigma
    error      (M,)    px, distance of prediction and label
    deviation  (M,)    px, the standard deviation of that distance's vector: √(Σ over coordinates of variance)
    size       (M,)    px, the person's size: √area, as in OKS
    nll        (M,)    nats, −log of the density a squared pixel at the label
    level      (M,)    probability of the smallest region that reaches the label; uniform in [0, 1] for a true density
    """

    joint: NDArray[np.int64]
    residual: Floats
    error: Floats
    deviation: Floats
    size: Floats
    nll: Floats
    level: Floats

    def of(self, joint: int) -> "Observations":
        """Those of one joint."""
        rows = self.joint == joint
        return Observations(**{name: values[rows] for name, values in vars(self).items()})


@torch.no_grad()
def observe(
    likelihood: LocationScale,
    keypoints: Floats,
    sigma: Floats,
    truth: Floats,
    visible: NDArray[np.integer],
    size: Floats,
) -> Observations:
    """keypoints, sigma and truth (N, K, 2) px, visible (N, K), size (N,) px -> one row for each labelled joint.

    likelihood: the trained one, in evaluation mode. Its density of pixels is its density of network units, stretched:
    both divide by sigma.
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
        size=size[person],
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

    NLL: nats a joint, density a squared pixel. NLL_relative: the same for positions in person sizes.
    sharpness: median predicted standard deviation, px; sharpness_relative: in person sizes. error: median, px.
    pearson_sigma_error, spearman_sigma_error: of predicted standard deviation and error, both in person sizes.
    """
    o = observations
    return {
        "joints": len(o.nll),
        "NLL": float(o.nll.mean()),
        "NLL_relative": float((o.nll - 2 * np.log(o.size)).mean()),
        "calibration_error": calibration_error(o.level),
        "sharpness": float(np.median(o.deviation)),
        "sharpness_relative": float(np.median(o.deviation / o.size)),
        "error": float(np.median(o.error)),
        "error_relative": float(np.median(o.error / o.size)),
        **_correlations("sigma_error", o.deviation / o.size, o.error / o.size),
    }


def calibration_report(
    observations: Observations, confidence: Floats, oks: Floats, joint_names: Sequence[str]
) -> dict[str, Any]:
    """Everything about a model's uncertainty, as plain numbers.

    confidence and oks (N,): one a person, the mean of its joints' scores, and the OKS with its own label. The risk is
    1 − OKS; AURC is the mean of the risk-coverage curve, AURC_best the same for a perfect ranking.
    """
    ranking = ranking_report(confidence, oks)
    present = [joint for joint in range(len(joint_names)) if (observations.joint == joint).any()]
    return {
        "overall": {
            **joint_numbers(observations),
            **_correlations("confidence_OKS", confidence, oks),
            **ranking["overall"],
        },
        "joints": {joint_names[joint]: joint_numbers(observations.of(joint)) for joint in present},
        "reliability": {"levels": list(LEVELS), "coverage": coverage(observations.level).tolist()},
        "risk_coverage": ranking["risk_coverage"],
    }


def ranking_report(confidence: Floats, oks: Floats) -> dict[str, Any]:
    """The part of `calibration_report` that needs no sigma: whether the model knows its better poses."""
    share, risk = risk_coverage(confidence, 1 - oks)
    return {
        "overall": {
            "persons": len(oks),
            "risk": float(risk[-1]),
            "AURC": float(risk.mean()),
            "AURC_best": float(risk_coverage(oks, 1 - oks)[1].mean()),
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
