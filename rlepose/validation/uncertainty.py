"""Evaluate the uncertainty of a model: from predictions to the calibration report and its figures."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.drawing.plots import density_figure, reliability_figure, risk_coverage_figure, save_figure
from rlepose.evaluation.calibration import Compared, Observations, calibration_report, observe, tail_ratio
from rlepose.evaluation.results import write_json
from rlepose.evaluation.score_table import format_score_table, score_table
from rlepose.losses import LocationScale
from rlepose.pose.pose_arrays import Poses
from rlepose.validation.evaluator import Evaluator

log = logging.getLogger(__name__)

# Metrics of the report, if it has them, for metrics.json and the log; calibration.json has all of them.
CALIBRATION_METRICS = (
    "NLL",
    "NLL_relative",
    "calibration_error",
    "tail_ratio",
    "tail_ratio_predicted",
    "sharpness",
    "pearson_confidence_OKS",
    "spearman_confidence_OKS",
    "pearson_confidence_MPJPE",
    "spearman_confidence_MPJPE",
    "pearson_sigma_error",
    "spearman_sigma_error",
    "AURC",
)


def judge_uncertainty(
    evaluator: Evaluator[Any], poses: Poses, likelihood: LocationScale, chosen: NDArray[np.bool_] | None = None
) -> tuple[Observations, dict[str, Any]]:
    """Return observations of all labelled joints and their report; `chosen` (N,) bool restricts both to some poses.

    likelihood: of the residual, on the CPU.
    """
    rows = poses.valid if chosen is None else poses.valid & chosen
    compared = evaluator.compared(poses, rows)
    observations, report = judge(evaluator, compared, likelihood)
    if observations.size is not None:
        scores = poses.joint_scores[rows][compared.visible > 0]
        told_apart = len(scores) and np.ptp(scores) > 0  # else they are the 1 of a model without scores
        report["scores"] = score_table(scores, observations.error / observations.size) if told_apart else []
    return observations, report


def judge(
    evaluator: Evaluator[Any], compared: Compared, likelihood: LocationScale
) -> tuple[Observations, dict[str, Any]]:
    """Return the same as `judge_uncertainty`, for poses that the evaluator has compared with their labels."""
    observations = observe(
        likelihood, compared.predicted, compared.sigma, compared.truth, compared.visible, compared.size
    )
    report = calibration_report(observations, compared, evaluator.quality, evaluator.density_joints)
    report["overall"] |= {
        "tail_ratio": tail_ratio(observations.residual),
        "tail_ratio_predicted": _predicted_tail_ratio(likelihood),
    }
    return observations, report


def _predicted_tail_ratio(likelihood: LocationScale) -> float:
    return float(np.mean([tail_ratio(residuals.numpy()) for residuals in likelihood.sample_densities()]))


def calibration_metrics(report: dict[str, Any]) -> dict[str, Any]:
    """Return the main metrics of the report, by name."""
    return {name: report["overall"][name] for name in CALIBRATION_METRICS if name in report["overall"]}


def format_calibration(report: dict[str, Any]) -> str:
    """Format how wrong joints of each score are, and `calibration_metrics`, one per line."""
    numbers = calibration_metrics(report)
    lines = [format_score_table(report["scores"])] if report.get("scores") else []
    lines += [f"{name:<26}" + (f"{'–':>9}" if value is None else f"{value:9.4f}") for name, value in numbers.items()]
    return "\n".join(lines)


def write_calibration(
    out: Path,
    observations: Observations,
    report: dict[str, Any],
    likelihood: LocationScale,
    evaluator: Evaluator[Any],
) -> None:
    """Write calibration.json and three figures to `out`."""
    write_json(out / "calibration.json", report)
    figures = {
        "reliability": reliability_figure({"all joints": observations}),
        "risk_coverage": risk_coverage_figure({"by confidence": report}, evaluator.risk),
        "density": density_figure(likelihood, observations, evaluator.density_joints),
    }
    for name, figure in figures.items():
        save_figure(out / f"{name}.png", figure)
        log.info("diagram         %s", out / f"{name}.png")
