"""Positions to heatmaps and back."""

from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor

from rlepose.models.options import HeatmapHeadConfig
from rlepose.pose.codec import PoseOutput, average_outputs, flip_output, heatmap_output, joint_scores
from rlepose.pose.heatmaps import Alignment, Heatmaps, Refinement, pixel_positions

CPU = torch.device("cpu")
HEIGHT, WIDTH, STRIDE = 64, 48, 4
SIZE = torch.tensor([WIDTH, HEIGHT])
alignments = pytest.mark.parametrize("alignment", get_args(Alignment))
centers = pytest.mark.parametrize("rounded", [True, False], ids=["rounded", "exact"])


def empty(alignment: Alignment = "classic", refinement: Refinement = "quarter", joints: int = 17) -> Heatmaps:
    x, y = (pixel_positions(count, STRIDE, alignment, CPU) for count in (WIDTH, HEIGHT))
    return Heatmaps(torch.zeros(4, joints, HEIGHT, WIDTH), x, y, refinement)


def filled(heatmaps: Heatmaps, positions: Tensor, rounded: bool = False) -> Heatmaps:
    return heatmaps._replace(values=heatmaps.gaussians(positions, 2.0, rounded))


def positions(reach: float = 0.4, joints: int = 17) -> Tensor:
    return (torch.rand(4, joints, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1) * reach


def pixels_off(found: Tensor, expected: Tensor) -> float:
    """Largest difference, pixels of the heatmap."""
    return ((found - expected).abs() * SIZE).max().item()


def test_the_options_are_the_configs() -> None:
    hints = get_type_hints(HeatmapHeadConfig)
    assert get_args(hints["alignment"]) == get_args(Alignment)
    assert get_args(hints["refinement"]) == get_args(Refinement)


def test_targets_are_the_authors() -> None:
    reference = np.load(Path(__file__).parents[1] / "data" / "reference_heatmaps.npz")
    wanted = empty().gaussians(torch.from_numpy(reference["target"]), sigma=2.0, rounded=True)
    labelled = reference["weight"] > 0
    assert labelled.sum() == 74
    # Theirs are stored in float16.
    np.testing.assert_allclose(wanted.numpy()[labelled], reference["heatmaps"][labelled], atol=3e-4)


@centers
def test_a_target_has_its_sigma_and_ends_after_three(rounded: bool) -> None:
    values = empty().gaussians(torch.zeros(1, 1, 2), sigma=1.5, rounded=rounded)[0, 0]
    row, column = HEIGHT // 2, WIDTH // 2
    assert values[row, column] == 1
    expected = [np.exp(-(offset**2) / 2 / 1.5**2) for offset in range(5)] + [0]
    np.testing.assert_allclose(values[row, column : column + 6], expected, rtol=1e-5)
    np.testing.assert_allclose(values[row : row + 6, column], expected, rtol=1e-5)


@alignments
@pytest.mark.parametrize(
    ("rounded", "refinement", "bound"),
    [(True, "quarter", 0.5), (True, "dark", 0.5), (False, "quarter", 0.25), (False, "dark", 0.01)],
)
def test_decoding_gives_back_what_was_encoded(
    alignment: Alignment, rounded: bool, refinement: Refinement, bound: float
) -> None:
    expected = positions()
    mu, score = filled(empty(alignment, refinement), expected, rounded).peaks()
    one_pixel = (WIDTH * STRIDE - 1) / (WIDTH - 1) / STRIDE if alignment == "udp" else 1
    assert pixels_off(mu, expected) <= bound * one_pixel + 1e-4
    assert score.min() > 0.9


@alignments
def test_the_expectation_of_a_gaussian_is_its_centre(alignment: Alignment) -> None:
    heatmaps, expected = empty(alignment), positions(reach=0.25)
    across, down = (
        -((axis - expected[..., i, None]) * SIZE[i] / 2).square() / 2 for i, axis in enumerate(heatmaps[1:3])
    )
    mu = heatmaps._replace(values=down.unsqueeze(-1) + across.unsqueeze(-2)).expectation()
    assert pixels_off(mu, expected) < 1e-3


@pytest.mark.parametrize("refinement", get_args(Refinement))
@pytest.mark.parametrize("corner", [(-0.5, -0.5), (0.499, -0.5), (-0.5, 0.499), (0.499, 0.499)])
def test_a_peak_on_the_border_stays_there(refinement: Refinement, corner: tuple[float, float]) -> None:
    at = torch.tensor(corner).expand(4, 17, 2)
    mu, _ = filled(empty(refinement=refinement), at).peaks()
    assert pixels_off(mu, at) <= 1


@pytest.mark.parametrize("axis", [0, 1], ids=["x", "y"])
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_a_maximum_on_the_border_is_not_moved_across_it(axis: int, last: bool) -> None:
    """Beyond the border is no neighbour to compare with: the position is that of the pixel."""
    at = [20, 30]  # column, row
    at[axis] = int(SIZE[axis]) - 1 if last else 0
    heatmaps = empty(joints=1)
    heatmaps.values[:, :, at[1], at[0]] = 1
    mu, _ = heatmaps.peaks()
    assert (mu[0, 0, axis].item() + 0.5) * SIZE[axis].item() == pytest.approx(at[axis], abs=1e-4)


@pytest.mark.parametrize("values", [torch.zeros(4, 17, HEIGHT, WIDTH), -torch.rand(4, 17, HEIGHT, WIDTH)])
@pytest.mark.parametrize("refinement", get_args(Refinement))
def test_any_heatmap_has_a_peak_inside_the_crop(values: Tensor, refinement: Refinement) -> None:
    mu, score = empty(refinement=refinement)._replace(values=values).peaks()
    assert mu.abs().max() <= 0.5 and score.isfinite().all()


# --- mirrored crops ---------------------------------------------------------------------------------------------------


def mirrored_positions(expected: Tensor, permutation: Tensor) -> Tensor:
    """Where the mirrored crop has them: pixel x of W goes to W − 1 − x."""
    return expected[:, permutation] * torch.tensor([-1, 1]) - torch.tensor([1 / WIDTH / STRIDE, 0])


def test_mirroring_aligned_heatmaps_moves_nothing() -> None:
    permutation, expected = torch.tensor([0, 2, 1]), positions(joints=3)
    ours = filled(empty("udp", joints=3), expected)
    theirs = filled(empty("udp", joints=3), mirrored_positions(expected, permutation))
    back = theirs.mirrored(permutation, WIDTH * STRIDE)
    torch.testing.assert_close(back.values, ours.values, atol=1e-5, rtol=0)


def test_classic_heatmaps_are_shifted_by_a_pixel_when_mirrored() -> None:
    values = torch.rand(1, 2, HEIGHT, WIDTH)
    mirrored = empty()._replace(values=values).mirrored(torch.tensor([1, 0]), WIDTH * STRIDE).values
    published = values[:, [1, 0]].flip(-1)
    published[..., 1:] = published[..., :-1].clone()
    assert torch.equal(mirrored, published)


def columns_taken(width: int, stride: int, alignment: Alignment) -> Tensor:
    """For each column of the heatmaps, the column of the mirrored crop's heatmaps that it becomes: (width,)."""
    x = pixel_positions(width, stride, alignment, CPU)
    numbered = Heatmaps(torch.arange(width, dtype=torch.float32).expand(1, 1, 2, width), x, x[:2])
    return numbered.mirrored(torch.tensor([0]), width * stride).values[0, 0, 0].long()


@alignments
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_mirroring_turns_the_columns_round_as_one(stride: int, alignment: Alignment) -> None:
    moved = 1 if alignment == "classic" and stride > 2 else 0  # SimplePose's shift; half a pixel is no shift
    for width in range(4, 400):
        expected = (width - 1 + moved - torch.arange(width)).clamp(max=width - 1)
        assert torch.equal(columns_taken(width, stride, alignment), expected), width


@alignments
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_every_mirrored_gaussian_moves_by_the_same_half_pixel_at_most(stride: int, alignment: Alignment) -> None:
    permutation, expected = torch.arange(17), positions(reach=0.2)  # away from the border, which cuts a Gaussian
    for width in (40, 48, 72, 96, 128):
        x, y = (pixel_positions(count, stride, alignment, CPU) for count in (width, HEIGHT))
        heatmaps = Heatmaps(torch.zeros(4, 17, HEIGHT, width), x, y, "dark")
        in_mirrored_crop = expected * torch.tensor([-1, 1]) - torch.tensor([1 / (width * stride), 0])
        found, _ = filled(heatmaps, in_mirrored_crop).mirrored(permutation, width * stride).peaks()
        pixels = (found - expected)[..., 0] / (x[1] - x[0])
        assert pixels.abs().max() <= 0.5 + 0.01
        assert pixels.max() - pixels.min() < 0.02


@alignments
def test_the_flip_test_averages_heatmaps_and_not_positions(alignment: Alignment) -> None:
    """Two views that disagree by half a crop: one is surer, and a mean of positions would be neither."""
    expected = torch.tensor([[-0.3, 0.2]]).expand(4, 1, 2)
    permutation = torch.tensor([0])
    sure = filled(empty(alignment, joints=1), expected)
    other = filled(empty(alignment, joints=1), torch.tensor([[0.3, -0.2]]).expand(4, 1, 2))
    output = heatmap_output(sure)
    mirrored = flip_output(heatmap_output(other._replace(values=other.values / 2)), permutation, WIDTH * STRIDE)
    mean = average_outputs(output, mirrored)
    assert pixels_off(mean.mu, expected) <= 0.3
    torch.testing.assert_close(joint_scores(mean), joint_scores(output) / 2)


def test_scores_without_heatmaps_are_flipped_and_averaged_too() -> None:
    output = PoseOutput(torch.zeros(1, 2, 2), None, torch.tensor([[0.2, 0.8]]))
    mirrored = flip_output(output, (1, 0), 192)
    torch.testing.assert_close(joint_scores(mirrored), torch.tensor([[0.8, 0.2]]))
    torch.testing.assert_close(joint_scores(average_outputs(output, mirrored)), torch.tensor([[0.5, 0.5]]))
