"""What the uncertainty of a validated model is worth: from predictions to the calibration report and its diagrams."""

import copy
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
from rlepose.evaluation.truth import annotation_area
from rlepose.losses import Criterion, LocationScale
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton
from rlepose.validation.estimator import Predictions
from rlepose.validation.pose_validator import PoseValidator
from rlepose.validation.validator import Validator

log = logging.getLogger(__name__)

# What of the report stands in metrics.json and in the log; calibration.json has all.
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


def in_2d(validator: PoseValidator[Any]) -> Validator:
    """The validation itself; InputError where it is in 3-D, where neither calibration nor reports are there yet."""
    if not isinstance(validator, Validator):
        raise InputError(f"{validator.path}: uncertainty is judged in 2-D alone, and this validation is in 3-D")
    return validator


def location_scale(criterion: Criterion) -> LocationScale:
    """The criterion's likelihood, on the CPU; InputError for one whose sigma has no meaning around the prediction."""
    if not isinstance(criterion.main, LocationScale):
        raise InputError("loss.name: basic has no density of the residual to calibrate; take another loss")
    return copy.deepcopy(criterion.main).cpu().eval()


def sigma_px(validator: Validator, predictions: Predictions) -> Floats:
    """(N, K, 2) px; for a loss without sigma that of its constant density, a crop's width and height."""
    if predictions.sigma is not None:
        return predictions.sigma
    return np.broadcast_to(validator.dataset.scale[:, None], predictions.keypoints.shape)


def areas(validator: Validator) -> Floats:
    """(N,) px², the persons' sizes in OKS."""
    return np.array([annotation_area(annotation) for annotation in validator.annotations()])


def judge_uncertainty(
    validator: Validator,
    predictions: Predictions,
    criterion: Criterion,
    persons: NDArray[np.bool_] | None = None,
) -> tuple[Observations, dict[str, Any]]:
    """Observations of all labelled joints and their report; `persons` (N,) bool restricts both."""
    table, skeleton = validator.table, validator.skeleton
    chosen = predictions.valid if persons is None else predictions.valid & persons
    area = areas(validator)[chosen]
    keypoints, truth, visible = predictions.keypoints[chosen], table.keypoints[chosen], table.visible[chosen]
    likelihood = location_scale(criterion)
    sigma = sigma_px(validator, predictions)[chosen]
    observations = observe(likelihood, keypoints, sigma, truth, visible, np.sqrt(area))
    oks = oks_with_label(keypoints, truth, visible, area, np.array(skeleton.oks_sigmas))
    confidence = validator.confidence(predictions)[chosen]
    report = calibration_report(observations, confidence, oks, skeleton.names)
    report["overall"] |= {
        "tail_ratio": tail_ratio(observations.residual),
        "tail_ratio_predicted": _predicted_tail_ratio(likelihood),
    }
    return observations, report


def _predicted_tail_ratio(likelihood: LocationScale) -> float:
    return float(np.mean([tail_ratio(residuals.numpy()) for residuals in likelihood.sample_densities()]))


def calibration_metrics(report: dict[str, Any]) -> dict[str, Any]:
    """The report's main numbers, by name."""
    return {name: report["overall"][name] for name in CALIBRATION_METRICS}


def format_calibration(metrics: dict[str, Any]) -> str:
    """The numbers of `calibration_metrics` in a validation's metrics, a line each."""
    lines = []
    for name in CALIBRATION_METRICS:
        value = metrics.get(f"gt/{name}")
        lines.append(f"{name:<24}" + (f"{'–':>9}" if value is None else f"{value:9.4f}"))
    return "\n".join(lines)


def write_calibration(
    out: Path, observations: Observations, report: dict[str, Any], criterion: Criterion, skeleton: Skeleton
) -> None:
    """calibration.json and three diagrams below `out`."""
    write_json(out / "calibration.json", report)
    figures = {
        "reliability": reliability_figure({"all joints": observations}),
        "risk_coverage": risk_coverage_figure({"by confidence": report}),
        "density": density_figure(location_scale(criterion), observations, skeleton.names),
    }
    for name, figure in figures.items():
        save_figure(out / f"{name}.png", figure)
        log.info("diagram         %s", out / f"{name}.png")
