"""The simple densities: each function of one tells the same density."""

import pytest
import torch

from rlepose.losses.densities import DENSITIES

SHARES = torch.tensor([0.05, 0.3, 0.5, 0.9], dtype=torch.float64)


@pytest.mark.parametrize("name", list(DENSITIES))
def test_the_density_below_a_quantile_integrates_to_its_share(name: str) -> None:
    density = DENSITIES[name]
    x = torch.linspace(-40, 40, 800_001, dtype=torch.float64)
    below = density.log_prob(x[:, None]).exp().cumsum(0) * (x[1] - x[0])
    at = torch.searchsorted(x, density.quantile(SHARES))
    torch.testing.assert_close(below[at], SHARES, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", list(DENSITIES))
def test_samples_lie_below_a_quantile_as_often_as_it_says(name: str) -> None:
    density = DENSITIES[name]
    samples = density.sample(50_000, 2, torch.Generator().manual_seed(0))
    below = (samples[..., None] < density.quantile(SHARES)).double().mean(dim=0)
    torch.testing.assert_close(below, SHARES.expand(2, -1), atol=0.01, rtol=0)


@pytest.mark.parametrize("name", list(DENSITIES))
def test_a_scale_stretches_the_density(name: str) -> None:
    points = torch.randn(20, 3, dtype=torch.float64)
    stretched = DENSITIES[name].log_prob(points, 2.5) + 3 * torch.tensor(2.5).double().log()
    torch.testing.assert_close(stretched, DENSITIES[name].log_prob(points / 2.5))


@pytest.mark.parametrize("name", list(DENSITIES))
def test_spread_and_mean_size_are_those_of_the_density(name: str) -> None:
    density = DENSITIES[name]
    x = torch.linspace(-40, 40, 800_001, dtype=torch.float64)
    mass = density.log_prob(x[:, None]).exp() * (x[1] - x[0])
    assert (mass * x.square()).sum().sqrt().item() == pytest.approx(density.spread, abs=1e-5)
    assert (mass * x.abs()).sum().item() == pytest.approx(density.mean_size, abs=1e-5)
