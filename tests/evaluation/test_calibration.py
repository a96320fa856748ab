"""A model that knows how sure it is scores well, one that does not is found out, and can be corrected."""

import math

import numpy as np
import pytest
import torch

from rlepose.errors import InputError
from rlepose.evaluation.calibration import (
    LEVELS,
    Compared,
    Observations,
    calibration_error,
    calibration_report,
    coverage,
    joint_numbers,
    observe,
    risk_coverage,
    tail_ratio,
)
from rlepose.evaluation.choices import METHODS
from rlepose.evaluation.recalibration import Recalibration, fit_recalibration
from rlepose.losses import Gaussian, Laplace, LocationScale
from rlepose.losses.densities import DENSITIES
from rlepose.pose.geometry import Floats

N, K = 2000, 3


def persons(likelihood: LocationScale, claimed: Floats, seed: int = 0) -> dict[str, Floats]:
    """Labels that scatter with a varying sigma in the likelihood's density; the model claims sigma × claimed (K,)."""
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(1, 6, size=(N, K, 2))
    samples = likelihood.sample_residuals(N * K, 0, torch.Generator().manual_seed(seed)).numpy().reshape(N, K, 2)
    mu = rng.uniform(0, 100, size=(N, K, 2))
    visible = (rng.uniform(size=(N, K)) < 0.9).astype(np.uint8)
    claims = sigma * np.asarray(claimed)[:, None]
    return {"keypoints": mu, "sigma": claims, "truth": mu + sigma * samples, "visible": visible}


def observed(likelihood: LocationScale, claimed: Floats, seed: int = 0) -> Observations:
    return observe(likelihood, **persons(likelihood, claimed, seed), size=np.full(N, 50.0))


@pytest.mark.parametrize("kind", [Gaussian, Laplace])
def test_an_honest_model_covers_what_it_claims(kind: type[LocationScale]) -> None:
    observations = observed(kind(2), np.ones(K))
    np.testing.assert_allclose(coverage(observations.level), LEVELS, atol=0.02)
    assert calibration_error(observations.level) < 0.01


@pytest.mark.parametrize(("factor", "sign"), [(0.5, -1), (2.0, 1)])
def test_a_model_too_sure_covers_too_little_and_one_too_unsure_too_much(factor: float, sign: int) -> None:
    observations = observed(Gaussian(2), np.full(K, factor))
    assert (sign * (coverage(observations.level) - LEVELS))[2:8].min() > 0.1
    assert calibration_error(observations.level) > 0.1


def test_the_nll_is_the_entropy_for_an_honest_model_and_higher_for_others() -> None:
    honest = observed(Gaussian(2), np.ones(K))
    entropy = 1 + math.log(2 * math.pi) + 2 * float(np.mean(np.log(np.linspace(1, 6, 10_000))))
    assert joint_numbers(honest)["NLL"] == pytest.approx(entropy, abs=0.05)
    for factor in (0.5, 2.0):
        assert joint_numbers(observed(Gaussian(2), np.full(K, factor)))["NLL"] > entropy + 0.2


def test_relative_numbers_are_in_person_sizes() -> None:
    numbers = joint_numbers(observed(Gaussian(2), np.ones(K)))
    assert numbers["NLL_relative"] == pytest.approx(numbers["NLL"] - 2 * math.log(50), abs=1e-4)
    assert numbers["sharpness_relative"] == pytest.approx(numbers["sharpness"] / 50)
    assert numbers["error_relative"] == pytest.approx(numbers["error"] / 50)


def test_in_space_densities_are_a_cubic_mm_and_nothing_is_relative_to_a_size() -> None:
    rng, sigma = np.random.default_rng(0), np.array([10.0, 20.0, 40.0])
    mu = rng.uniform(0, 100, (N, K, 3))
    truth = mu + sigma * rng.normal(size=mu.shape)
    visible = np.ones((N, K), np.uint8)
    observations = observe(Gaussian(3), mu, np.broadcast_to(sigma, mu.shape), truth, visible)
    numbers = joint_numbers(observations)
    entropy = 1.5 * (1 + math.log(2 * math.pi)) + np.log(sigma).sum()
    assert numbers["NLL"] == pytest.approx(entropy, abs=0.05)
    assert calibration_error(observations.level) < 0.01
    assert numbers["sharpness"] == pytest.approx(np.linalg.norm(sigma))
    assert not any(name.endswith("_relative") for name in numbers)
    assert len(observations.of(1).nll) == N


def test_only_labelled_joints_are_observed() -> None:
    data = persons(Gaussian(2), np.ones(K))
    data["truth"][data["visible"] == 0] = np.nan
    observations = observe(Gaussian(2), **data, size=np.full(N, 50.0))
    assert len(observations.nll) == data["visible"].sum()
    assert np.isfinite(observations.nll).all()


def test_sigma_that_follows_the_error_correlates_with_it_and_a_constant_one_cannot() -> None:
    data = persons(Gaussian(2), np.ones(K))
    size = np.full(N, 50.0)
    assert joint_numbers(observe(Gaussian(2), **data, size=size))["spearman_sigma_error"] > 0.4
    constant = joint_numbers(observe(Gaussian(2), **data | {"sigma": np.full((N, K, 2), 3.0)}, size=size))
    assert constant["spearman_sigma_error"] is None and constant["pearson_sigma_error"] is None


def test_risk_falls_to_its_mean_as_persons_are_added_by_confidence() -> None:
    share, risk = risk_coverage(np.array([0.9, 0.1, 0.5]), np.array([0.0, 0.6, 0.3]))
    np.testing.assert_allclose(share, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(risk, [0.0, 0.15, 0.3])


def test_persons_of_equal_confidence_count_alike_in_any_order() -> None:
    risk = np.array([0.0, 0.5, 0.5, 1.0])
    for order in (risk, risk[::-1]):
        assert risk_coverage(np.ones(4), order)[1].tolist() == [0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(("name", "expected"), [("gaussian", 2.439), ("laplace", 3.322)])
def test_the_tail_ratio_tells_densities_apart_at_any_scale(name: str, expected: float) -> None:
    samples = DENSITIES[name].sample(400_000, 2, torch.Generator().manual_seed(0)) * torch.tensor([0.01, 30.0])
    assert tail_ratio(samples.numpy()) == pytest.approx(expected, abs=0.02)


def test_the_report_tells_of_each_joint_and_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    observations, oks = observed(Gaussian(2), np.array([1.0, 0.4, 1.0])), rng.uniform(size=N)
    confidence, nothing = oks + rng.normal(0, 0.1, N), np.empty(0)
    compared = Compared(nothing, nothing, nothing, nothing, nothing, confidence, quality=oks, risk=1 - oks)
    report = calibration_report(observations, compared, "OKS", ["a", "b", "c"])
    assert list(report["joints"]) == ["a", "b", "c"]
    assert report["joints"]["b"]["calibration_error"] > 0.1 > report["joints"]["a"]["calibration_error"]
    assert report["overall"]["pearson_confidence_OKS"] > 0.8
    assert report["overall"]["AURC_best"] < report["overall"]["AURC"] < report["overall"]["risk"]


# --- recalibration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [Gaussian, Laplace])
def test_recalibration_makes_a_dishonest_model_honest_on_other_persons(kind: type, method: str) -> None:
    claimed = np.full(K, 0.3)
    fitted = fit_recalibration(method, kind(2), *_arrays(persons(kind(2), claimed, seed=1)))
    data = persons(kind(2), claimed, seed=2)
    size = np.full(N, 50.0)
    before = observe(kind(2), **data, size=size)
    after = observe(kind(2), **data | {"sigma": fitted.apply(data["sigma"])}, size=size)
    assert calibration_error(before.level) > 0.3
    assert calibration_error(after.level) < 0.025
    assert after.nll.mean() < before.nll.mean() - 1


@pytest.mark.parametrize("method", ["scale", "joint_scale"])
def test_in_space_the_factor_is_the_one_that_was_left_out(method: str) -> None:
    rng = np.random.default_rng(0)
    mu, sigma = rng.normal(size=(N, K, 3)), rng.uniform(0.01, 0.1, (N, K, 3))
    target = mu + 2.5 * sigma * rng.normal(size=mu.shape)
    fitted = fit_recalibration(method, Gaussian(3), mu, sigma, target, np.ones((N, K), np.uint8))
    np.testing.assert_allclose(fitted.scale, 2.5, rtol=0.03)


def _arrays(data: dict[str, Floats]) -> tuple[Floats, ...]:
    return data["keypoints"], data["sigma"], data["truth"], data["visible"]


def test_a_scale_a_joint_finds_each_joints_factor() -> None:
    fitted = fit_recalibration("joint_scale", Laplace(2), *_arrays(persons(Laplace(2), np.array([0.5, 1.0, 3.0]))))
    np.testing.assert_allclose(fitted.scale, [2, 1, 1 / 3], rtol=0.06)


@pytest.mark.parametrize("claimed", [1e-4, 1e4])
def test_a_scale_far_off_is_found(claimed: float) -> None:
    fitted = fit_recalibration("scale", Laplace(2), *_arrays(persons(Laplace(2), np.full(K, claimed))))
    assert fitted.scale[0] == pytest.approx(1 / claimed, rel=0.05)


def test_one_scale_finds_the_common_factor_of_a_constant_density() -> None:
    """l1 and l2 leave the scale open: here 100 units are claimed where the labels scatter by 1 to 6."""
    data = persons(Laplace(2), np.ones(K)) | {"sigma": np.full((N, K, 2), 100.0)}
    fitted = fit_recalibration("scale", Laplace(2), *_arrays(data))
    labelled = np.abs(data["truth"] - data["keypoints"])[data["visible"] > 0]
    assert fitted.scale[0] == pytest.approx(labelled.mean() / 100, rel=0.02)


def test_the_isotonic_map_straightens_a_bent_sigma() -> None:
    data = persons(Laplace(2), np.ones(K))
    honest = data["sigma"].copy()
    fitted = fit_recalibration("isotonic", Laplace(2), *_arrays(data | {"sigma": honest**2 / 10}))
    corrected = fitted.apply(honest**2 / 10)
    assert np.median(np.abs(corrected / honest - 1)) < 0.1
    assert (np.diff(np.array(fitted.knots)[:, 1]) >= 0).all()


def test_the_isotonic_map_needs_a_sigma_that_varies() -> None:
    data = persons(Laplace(2), np.ones(K)) | {"sigma": np.ones((N, K, 2))}
    with pytest.raises(InputError, match="--method isotonic needs a model with a learned sigma"):
        fit_recalibration("isotonic", Laplace(2), *_arrays(data))


def test_a_joint_never_labelled_keeps_its_sigma() -> None:
    data = persons(Gaussian(2), np.full(K, 0.5))
    data["visible"][:, 1] = 0
    assert fit_recalibration("joint_scale", Gaussian(2), *_arrays(data)).scale[1] == 1


def test_nothing_labelled_is_refused() -> None:
    data = persons(Gaussian(2), np.ones(K))
    with pytest.raises(InputError, match="no labelled joint"):
        fit_recalibration("scale", Gaussian(2), *_arrays(data | {"visible": np.zeros((N, K), np.uint8)}))


@pytest.mark.parametrize(
    "recalibration",
    [Recalibration("joint_scale", (0.5, 2.0)), Recalibration("isotonic", knots=((0.1, 0.2), (0.3, 0.4)))],
)
def test_a_recalibration_survives_its_dict(recalibration: Recalibration) -> None:
    assert Recalibration.from_dict(recalibration.to_dict()) == recalibration
