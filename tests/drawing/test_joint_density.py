"""The drawn density of a joint: its lines close, and contain as much as they say."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.path import Path as Line
from numpy.typing import NDArray

from rlepose.drawing.plots import joint_density_figure
from rlepose.losses import DLE, RLE, Gaussian, JointFlows, Laplace, LocationScale, RealNVP
from rlepose.losses.pose_density import PoseDensity, ResidualDensity

KEYPOINTS = np.array([[30.0, 40.0], [200.0, 90.0], [60.0, 10.0]])
SCALE = np.array([[4.0, 9.0], [0.5, 2.0], [1.0, 1.0]])
JOINT = 1


def flow(strength: float, base: str = "laplace") -> JointFlows:
    """A flow whose couplings stretch one coordinate by up to e^2 where the other is large."""
    torch.manual_seed(1)
    made = RealNVP(2, depth=2, width=8, scale_bound=2.0, base=base, init="torch")
    with torch.no_grad():
        for weight in made.weights:
            weight *= strength
    return JointFlows([made])


LIKELIHOODS = {
    "gaussian": Gaussian(2),
    "laplace": Laplace(2),
    "heavy dle": DLE(flow(1.5)),
    "heavy rle": RLE(flow(1.5), form="paper", q_scale=3.0),
}
each_density = pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=list(LIKELIHOODS))


def density_of(likelihood: LocationScale) -> PoseDensity:
    return PoseDensity(ResidualDensity(likelihood, len(KEYPOINTS)), KEYPOINTS, SCALE)


@torch.no_grad()
def fresh(likelihood: LocationScale) -> NDArray[np.float64]:
    """Positions of the joint that nobody has seen, (20000, 2) px."""
    residual = likelihood.sample_residuals(20_000, JOINT, torch.Generator().manual_seed(12)).double().numpy()
    return KEYPOINTS[JOINT] + SCALE[JOINT] * residual


def outlines(figure: Figure) -> list[NDArray[np.float64]]:
    """The pieces of the dashed line, (…, 2) px each."""
    (line,) = (drawn for drawn in figure.axes[0].collections if drawn.get_linestyle()[0][1] is not None)
    return [piece for path in line.get_paths() for piece in path.to_polygons(closed_only=False)]


@each_density
def test_the_line_of_99_percent_closes_inside_the_figure_and_contains_99_percent(likelihood: LocationScale) -> None:
    figure = joint_density_figure(np.zeros((120, 300, 3), np.uint8), density_of(likelihood), JOINT, "wrist")
    pieces = outlines(figure)
    assert pieces and all(np.array_equal(piece[0], piece[-1]) for piece in pieces)
    inside = np.logical_xor.reduce([Line(piece).contains_points(fresh(likelihood)) for piece in pieces])
    assert inside.mean() == pytest.approx(0.99, abs=0.01)
    low, high = np.concatenate(pieces).min(axis=0), np.concatenate(pieces).max(axis=0)
    (left, right), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert left < low[0] and high[0] < right and top < low[1] and high[1] < bottom


@each_density
def test_the_grid_covers_999_of_1000(likelihood: LocationScale) -> None:
    x, y, _ = density_of(likelihood).on_grid(JOINT)
    points = fresh(likelihood)
    covered = (points > (x[0], y[0])).all(axis=1) & (points < (x[-1], y[-1])).all(axis=1)
    assert covered.mean() >= 0.9985
    assert x.shape == y.shape == (101,) and np.allclose(np.diff(x), x[1] - x[0])


def test_the_levels_of_a_normal_density_are_those_of_the_formula() -> None:
    points = np.random.default_rng(0).normal(KEYPOINTS[JOINT], SCALE[JOINT], (1000, 2))
    squared = (((points - KEYPOINTS[JOINT]) / SCALE[JOINT]) ** 2).sum(axis=1)
    levels = density_of(Gaussian(2)).region_level(JOINT, points)
    np.testing.assert_allclose(levels, 1 - np.exp(-squared / 2), atol=0.01)


def test_joints_with_flows_of_their_own_have_lines_of_their_own() -> None:
    narrow, wide = RealNVP(2, depth=2), RealNVP(2, depth=2, base="laplace")
    density = density_of(DLE(JointFlows([narrow, wide, narrow])))
    levels = [density.region_level(joint, KEYPOINTS[joint] + 2.0 * SCALE[joint]) for joint in range(3)]
    assert levels[0] == levels[2] > levels[1] + 0.05
