"""The study of densities: its problem, its trainings, its report."""

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlepose.errors import InputError
from rlepose.losses import Basic
from rlepose.losses.flows import JointFlows, RealNVP
from rlepose.study.cases import run_cases
from rlepose.study.density import (
    LOSS_CONFIGS,
    SNAPSHOT_AXIS,
    Case,
    Result,
    Snapshot,
    basic_mean,
    draw,
    study,
    true_location_and_scale,
)
from rlepose.study.density_report import all_tables

Run = Callable[..., subprocess.CompletedProcess[str]]


def made_up(loss: str, noise: str, seed: int, excess: float) -> Result:
    snapshot = Snapshot(torch.zeros(81, 81), (0.0, 0.0))
    return Result(Case(loss, noise, seed), (250, 300), (1.0, excess), 0.1, 0.2, 0.3, snapshot)


def test_targets_scatter_around_the_true_mean_with_the_true_deviation() -> None:
    torch.manual_seed(0)
    inputs, targets = draw("banana", 50_000)
    mu, sigma = true_location_and_scale(inputs)
    noise = (targets[:, 0] - mu) / sigma
    assert noise.mean(dim=0).tolist() == pytest.approx([0, 0], abs=0.02)
    assert noise.std(dim=0).tolist() == pytest.approx([1, 1], abs=0.02)


@pytest.mark.parametrize("loss", list(LOSS_CONFIGS))
def test_every_loss_can_be_studied(loss: str) -> None:
    result = study(Case(loss, "banana", 0), (1,), batch_size=16)
    numbers = (*result.excess_nll, result.mu_error, result.mean_error, result.sigma_error, *result.snapshot.mu)
    assert all(map(math.isfinite, numbers))


@pytest.mark.parametrize("loss", ["l1", "dle"])
def test_equal_cases_give_equal_results_and_other_seeds_others(loss: str) -> None:
    first, again, other = (study(Case(loss, "banana", seed), (2, 3), batch_size=16) for seed in (1, 1, 2))
    assert first.excess_nll == again.excess_nll
    assert (first.mu_error, first.mean_error, first.sigma_error) == (
        again.mu_error,
        again.mean_error,
        again.sigma_error,
    )
    assert torch.equal(first.snapshot.density, again.snapshot.density)
    assert first.excess_nll != other.excess_nll


def test_a_study_leaves_the_global_random_state_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    study(Case("gaussian", "gaussian", 0), (2,), batch_size=16)
    assert torch.equal(torch.rand(3), expected)


def test_the_gaussian_loss_learns_gaussian_noise() -> None:
    result = study(Case("gaussian", "gaussian", 0), (50, 500))
    assert 0 < result.excess_nll[-1] < 0.1
    assert result.excess_nll[-1] < result.excess_nll[0]
    assert result.mu_error < 0.3 and result.sigma_error < 0.2
    assert result.mean_error == pytest.approx(result.mu_error, abs=0.02)


@pytest.mark.parametrize("loss", ["l2", "gaussian"])
def test_a_gaussian_density_cannot_learn_two_modes(loss: str) -> None:
    assert study(Case(loss, "two modes", 0), (500,)).excess_nll[-1] > 0.4


def test_a_flow_learns_more_of_two_modes_than_any_gaussian_can() -> None:
    # A Gaussian with the true mean and deviation misses 0.56 nats.
    assert 0 < study(Case("dle", "two modes", 0), (400,)).excess_nll[-1] < 0.4


def test_the_snapshot_is_a_density_around_the_predicted_position() -> None:
    snapshot = study(Case("gaussian", "gaussian", 0), (300,)).snapshot
    assert snapshot.density.shape == (len(SNAPSHOT_AXIS), len(SNAPSHOT_AXIS))
    assert snapshot.density.sum().item() * 0.0875**2 == pytest.approx(1, abs=0.05)
    row, column = divmod(int(snapshot.density.argmax()), len(SNAPSHOT_AXIS))
    assert (SNAPSHOT_AXIS[column], SNAPSHOT_AXIS[row]) == pytest.approx(snapshot.mu, abs=0.05)


def test_the_mean_of_basic_is_that_of_its_samples() -> None:
    torch.manual_seed(0)
    flow = RealNVP(depth=3, width=8)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    mu, sigma = torch.tensor([[0.2, -0.1]]), torch.tensor([[0.3, 0.4]])
    with torch.no_grad():
        samples, _ = flow.inverse(mu + sigma * torch.randn(200_000, 2))
        mean = basic_mean(Basic(JointFlows([flow])), mu, sigma)
    assert mean[0].tolist() == pytest.approx(samples.mean(dim=0).tolist(), abs=0.01)


def test_the_table_shows_mean_and_deviation_over_the_seeds() -> None:
    tables = all_tables([made_up("dle", "gaussian", seed, excess) for seed, excess in enumerate([0.1, 0.3])])
    assert "Excess NLL after 300 steps, nats; mean ± standard deviation over 2 seeds" in tables
    assert f"| dle | 0.200 ± {0.1 * math.sqrt(2):.3f} |" in tables
    assert "| dle, 250 steps | 1.000 ± 0.000 |" in tables


def test_the_table_has_a_row_a_loss_and_a_column_a_noise() -> None:
    tables = all_tables([made_up(*case) for case in [("l1", "laplace", 0, 0.5), ("l1", "banana", 0, 0.7)]])
    assert "|  | laplace | banana |\n|---|---|---|\n| l1 | 0.500 | 0.700 |\n" in tables


@pytest.mark.parametrize(
    ("option", "numbers"), [("--seeds", (0, 1, 1)), ("--steps", (1, 0, 1)), ("--processes", (1, 1, 0))]
)
def test_a_number_below_one_is_refused_by_its_option(option: str, numbers: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=f"{option}: expected 1 or more, got 0"):
        run_cases(["l2"], ["gaussian"], *numbers)


def test_the_script_writes_tables_numbers_and_pictures(run_script: Run, tmp_path: Path) -> None:
    sizes = ("--steps", 3, "--seeds", 2, "--processes", 2)
    chosen = ("--loss", "l1", "dle", "--noise", "two modes", "banana")
    result = run_script("study_density.py", "--out", tmp_path, *sizes, *chosen)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "results.json", "density.png", "curves.png"}
    assert (tmp_path / "table.md").read_text() in result.stdout
    trainings = json.loads((tmp_path / "results.json").read_text())["trainings"]
    assert len(trainings) == 8
    # Numbers are those of the training alone.
    alone = study(Case("dle", "banana", 1), (3,))
    assert trainings[-1]["excess_nll"] == pytest.approx(list(alone.excess_nll))
