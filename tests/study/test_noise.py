"""The study's noise is what its densities say."""

from functools import cache

import pytest
import torch
from torch import Tensor

from rlepose.study.noise import NOISES

REACH, STEP = 40.0, 0.05
CELL, CELLS = 0.75, 8  # a coarse grid of 8 × 8 cells around 0


@cache
def points() -> tuple[Tensor, Tensor]:
    """A grid's middle points (N, 2) with nearly all mass of the heaviest tails, and one axis of it."""
    axis = torch.arange(-REACH + STEP / 2, REACH, STEP)
    return torch.cartesian_prod(axis, axis), axis


@cache
def density(name: str) -> Tensor:
    """At `points`, double precision: (N,)."""
    return NOISES[name].log_prob(points()[0]).double().exp()


@pytest.mark.parametrize("name", list(NOISES))
def test_the_density_integrates_to_one(name: str) -> None:
    assert density(name).sum().item() * STEP**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", list(NOISES))
def test_by_its_density_noise_has_mean_zero_and_deviation_one(name: str) -> None:
    share = density(name)[:, None] * STEP**2
    mean = (points()[0] * share).sum(dim=0)
    variance = (points()[0].square() * share).sum(dim=0)
    # Of Student's t, 2.5 % of the variance lie beyond the grid.
    assert mean.tolist() == pytest.approx([0, 0], abs=1e-3)
    assert variance.sqrt().tolist() == pytest.approx([1, 1], abs=0.03 if name == "student-t" else 1e-3)


@pytest.mark.parametrize("name", list(NOISES))
def test_samples_follow_the_density(name: str) -> None:
    torch.manual_seed(0)
    count = 200_000
    edges = (torch.arange(CELLS + 1) - CELLS / 2) * CELL
    samples = torch.histogramdd(NOISES[name].sample(count), [edges, edges]).hist / count
    inside = (points()[1].abs() < CELL * CELLS / 2).nonzero().squeeze(1)
    part = density(name).view(len(points()[1]), -1)[inside][:, inside] * STEP**2
    width = round(CELL / STEP)
    expected = part.view(CELLS, width, CELLS, width).sum(dim=(1, 3))
    # Four standard deviations of a share of at most 0.1 or so are below 0.003.
    assert (samples - expected).abs().max().item() < 0.003
