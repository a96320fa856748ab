"""The loss of heatmaps: its value, and what does not reach it."""

import pytest
import torch

from rlepose.losses.heatmap import HeatmapMSE
from rlepose.pose.codec import PoseOutput, heatmap_output
from rlepose.pose.heatmaps import Heatmaps, pixel_positions

CPU = torch.device("cpu")


def random_output(joints: int = 3) -> PoseOutput:
    values = torch.rand(2, joints, 16, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()
    x, y = (pixel_positions(count, 4, "classic", CPU) for count in (12, 16))
    return heatmap_output(Heatmaps(values, x, y))


def test_it_is_half_the_mean_square_over_joints_and_pixels() -> None:
    output, target = random_output(), torch.rand(2, 3, 2) - 0.5
    weight = torch.tensor([1, 0, 0.1]).view(1, 3, 1).expand(2, 3, 2)
    assert output.heatmaps is not None
    wanted = output.heatmaps.gaussians(target, 1.5, rounded=False)
    squares = (output.heatmaps.values - wanted).square() * weight[..., :1, None]
    expected = squares.sum((1, 2, 3)) / (2 * 3 * 16 * 12)
    torch.testing.assert_close(HeatmapMSE(1.5, rounded=False)(output, target, weight), expected)


def test_the_wanted_heatmaps_cost_nothing() -> None:
    output, target = random_output(), torch.rand(2, 3, 2) - 0.5
    assert output.heatmaps is not None
    perfect = output.heatmaps._replace(values=output.heatmaps.gaussians(target, 2.0, rounded=True))
    assert HeatmapMSE()(heatmap_output(perfect), target, torch.ones(2, 3, 2)).tolist() == [0, 0]


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e30])
def test_what_an_unlabelled_joint_holds_reaches_neither_loss_nor_gradient(poison: float) -> None:
    target, weight = torch.rand(2, 3, 2) - 0.5, torch.ones(2, 3, 2)
    weight[0, 1] = 0
    found = []
    for labels in (target, torch.where(weight > 0, target, poison)):
        output = random_output()
        loss = HeatmapMSE()(output, labels, weight)
        loss.sum().backward()
        assert output.heatmaps is not None
        found.append((loss, output.heatmaps.values.grad))
    (loss, gradient), (poisoned, theirs) = found
    assert torch.equal(loss, poisoned) and torch.equal(gradient, theirs)
    assert not gradient[0, 1].any() and gradient[0, 0].any()


def test_a_labelled_nan_shows_in_its_own_persons_loss() -> None:
    target = torch.zeros(2, 3, 2)
    target[1, 0] = float("nan")
    assert HeatmapMSE()(random_output(), target, torch.ones(2, 3, 2)).isfinite().tolist() == [True, False]


def test_a_model_without_heatmaps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.head\.name=heatmap"):
        HeatmapMSE()(PoseOutput(torch.zeros(2, 3, 2), None), torch.zeros(2, 3, 2), torch.ones(2, 3, 2))
