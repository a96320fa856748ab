"""Evaluate the uncertainty of a model: from predictions to the calibration report and its figures."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.drawing.plots import density_figure, reliability_figure, risk_coverage_figure, save_figure
from rlepose.errors import InputError
from rlepose.evaluation.calibration import Observations, calibration_report, observe, tail_ratio
from rlepose.evaluation.oks import oks_with_label
from rlepose.evaluation.results import write_json
from rlepose.evaluation.score_table import format_score_table, score_table
from rlepose.evaluation.truth import annotation_area
from rlepose.losses import LocationScale
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import Skeleton
from rlepose.validation.coco_evaluator import CocoEvaluator
from rlepose.validation.validation import Validation

log = logging.getLogger(__name__)

# Metrics of the report for metrics.json and the log; calibration.json has all of them.
CALIBRATION_METRICS = (
    "NLL",
    "NLL_relative",
    "calibration_error",
    "tail_ratio",
    "tail_ratio_predicted",
    "sharpness",
    "pearson_confidence_OKS",
    "spearman_confidence_OKS",
    "pearson_sigma_error",
    "spearman_sigma_error",
    "AURC",
)


def in_2d(validation: Validation[Any]) -> CocoEvaluator:
    """Return the evaluator of a validation; InputError for 3-D, which has neither calibration nor reports yet."""
    evaluator = validation.evaluator
    if not isinstance(evaluator, CocoEvaluator):
        raise InputError(
            f"{evaluator.path}: uncertainty is evaluated only in 2-D, and this validation is in 3-D; use 2-D data"
        )
    return evaluator


def areas(evaluator: CocoEvaluator) -> Floats:
    """Return (N,) px², the labelled persons' areas for OKS."""
    return np.array([annotation_area(annotation) for annotation in evaluator.annotations()])


def judge_uncertainty(
    evaluator: CocoEvaluator, poses: Poses, likelihood: LocationScale, chosen: NDArray[np.bool_] | None = None
) -> tuple[Observations, dict[str, Any]]:
    """Return observations of all labelled joints and their report; `chosen` (N,) bool restricts both to some poses.

    likelihood: of the residual, on the CPU.
    """
    labels, skeleton = evaluator.labels, evaluator.skeleton
    chosen = poses.valid if chosen is None else poses.valid & chosen
    rows = evaluator.rows(poses)[chosen]
    area = areas(evaluator)[rows]
    keypoints, truth, visible = poses.keypoints[chosen], labels.keypoints[rows], labels.visible[rows]
    observations = observe(likelihood, keypoints, poses.sigma_px()[chosen], truth, visible, np.sqrt(area))
    oks = oks_with_label(keypoints, truth, visible, area, np.array(skeleton.oks_sigmas))
    confidence = evaluator.confidence(poses)[chosen]
    report = calibration_report(observations, confidence, oks, skeleton.names)
    report["overall"] |= {
        "tail_ratio": tail_ratio(observations.residual),
        "tail_ratio_predicted": _predicted_tail_ratio(likelihood),
    }
    scores = poses.joint_scores[chosen][visible > 0]
    told_apart = len(scores) and np.ptp(scores) > 0  # else they are the 1 of a model without scores
    report["scores"] = score_table(scores, observations.error / observations.size) if told_apart else []
    return observations, report


def _predicted_tail_ratio(likelihood: LocationScale) -> float:
    return float(np.mean([tail_ratio(residuals.numpy()) for residuals in likelihood.sample_densities()]))


def calibration_metrics(report: dict[str, Any]) -> dict[str, Any]:
    """Return the main metrics of the report, by name."""
    return {name: report["overall"][name] for name in CALIBRATION_METRICS}


def format_calibration(metrics: dict[str, Any]) -> str:
    """Format the `calibration_metrics` among a validation's metrics, one per line."""
    lines = []
    for name in CALIBRATION_METRICS:
        value = metrics.get(f"gt/{name}")
        lines.append(f"{name:<24}" + (f"{'–':>9}" if value is None else f"{value:9.4f}"))
    return "\n".join(lines)


def write_calibration(
    out: Path, observations: Observations, report: dict[str, Any], likelihood: LocationScale, skeleton: Skeleton
) -> None:
    """Write calibration.json and three figures to `out`, and log how wrong joints of each score are."""
    write_json(out / "calibration.json", report)
    if report["scores"]:
        log.info("%s", format_score_table(report["scores"]))
    figures = {
        "reliability": reliability_figure({"all joints": observations}),
        "risk_coverage": risk_coverage_figure({"by confidence": report}),
        "density": density_figure(likelihood, observations, skeleton.names),
    }
    for name, figure in figures.items():
        save_figure(out / f"{name}.png", figure)
        log.info("diagram         %s", out / f"{name}.png")
