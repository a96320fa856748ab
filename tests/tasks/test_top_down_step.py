import copy
from typing import Any

import pytest
import torch

from rlepose.datasets.crops import CropBatch
from rlepose.errors import InputError
from rlepose.losses import build_criterion
from rlepose.losses.options import AnyLoss
from rlepose.models.heads import Head, HeatmapHead, IntegralHead, RegressionHead
from rlepose.models.pose_model import PoseModel
from rlepose.options import variants
from rlepose.tasks.top_down_step import TopDownStep, check_compile

CPU = torch.device("cpu")


class Small(torch.nn.Module):
    """A backbone with batch statistics that compiles in a second."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 8, 3, stride=4), torch.nn.BatchNorm2d(8)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [self.norm(self.conv(image)).relu()]


@pytest.fixture
def quick_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile without its last part, the code generator, which takes half a minute."""
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, mode: real(f, backend="aot_eager"))


def loss_and_gradients(step: TopDownStep) -> tuple[torch.Tensor, list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (4, 3, 64, 64), generator=generator, dtype=torch.uint8)
    target = torch.rand(4, 17, 2, generator=generator) - 0.5
    losses = step.train()(CropBatch.of_tensors(image, target, torch.ones_like(target))).per_person
    losses.mean().backward()
    return losses, [parameter.grad for parameter in step.parameters() if parameter.grad is not None]


@pytest.mark.usefixtures("quick_compile")
@pytest.mark.parametrize(
    ("head", "loss"),
    [
        (RegressionHead([8], [4], 17), "rle"),
        (IntegralHead([8], [4], 17), "rle"),
        (HeatmapHead([8], [4], 17, refinement="dark"), "heatmap_mse"),
    ],
    ids=["regression", "integral", "heatmap"],
)
def test_a_compiled_step_has_the_losses_gradients_and_names_of_the_plain_one(head: Head, loss: Any) -> None:
    torch.manual_seed(0)
    model = PoseModel(Small(), head, [0.5] * 3, [0.25] * 3)  # type: ignore[arg-type]
    criterion = build_criterion(variants(AnyLoss)[loss](), 17)
    plain = TopDownStep(copy.deepcopy(model), copy.deepcopy(criterion))
    compiled = TopDownStep(model, criterion, mode="default")
    assert list(compiled.state_dict()) == list(plain.state_dict())
    (losses, gradients), (expected, theirs) = loss_and_gradients(compiled), loss_and_gradients(plain)
    torch.testing.assert_close(losses, expected)
    assert len(gradients) == len(theirs)
    for ours, reference in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(ours, reference)
    for ours, reference in zip(compiled.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, reference)  # the batch statistics have moved alike


def test_a_compiler_that_does_not_work_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: Any, mode: str) -> Any:
        raise RuntimeError("No working C++ compiler found\nand a page of advice")

    monkeypatch.setattr(torch, "compile", broken)
    check_compile("none", CPU)
    with pytest.raises(
        InputError, match=r"system\.compile: default does not work here \(No working C\+\+ compiler found\); "
    ):
        check_compile("default", CPU)
