"""What the loss costs a GPU: the number of its operators, and that the host never waits for the device."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rlepose.losses import LIKELIHOODS, build_criterion
from rlepose.losses.options import AnyLoss, LossConfig, RLEConfig
from rlepose.options import variants
from rlepose.pose.codec import PoseOutput

NOTHING_COMPUTED = {"aten.empty_like", "aten.new_empty", "aten._unsafe_view", "aten.detach", "aten.alias"}
# On a CUDA device the size or value of their results makes the host wait.
WAITING = {"nonzero", "_local_scalar_dense", "item", "masked_select", "unique", "_unique2", "equal", "is_nonzero"}


class Operators(TorchDispatchMode):
    """The operators below autograd, without those that only allocate or view: about the kernels launched on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function.overloadpacket)
        if not function.is_view and name not in NOTHING_COMPUTED:
            self.names.append(name)
        # A boolean mask as an index is a nonzero() on the device.
        if name in ("aten.index", "aten.index_put", "aten.index_put_"):
            assert all(index is None or index.dtype != torch.bool for index in args[1])
        return function(*args, **(kwargs or {}))


def operators(config: LossConfig, dims: int = 2, persons: int = 32, joints: int = 17) -> tuple[list[str], list[str]]:
    """Of forward and backward of a training step's loss."""
    criterion = build_criterion(config, joints, dims).train()
    mu, sigma, target = (torch.rand(persons, joints, dims) + 0.1 for _ in range(3))
    weight = (torch.rand(persons, joints, 1) > 0.3).float().repeat(1, 1, dims)
    if dims == 3:
        weight[: persons // 2, :, 2] = 0
    output = PoseOutput(mu.requires_grad_(), sigma.requires_grad_())
    with Operators() as forward:
        loss: Tensor = criterion(output, target, weight)
    mean = loss.mean()
    with Operators() as backward:
        mean.backward()
    return forward.names, backward.names


@pytest.mark.parametrize("persons", [32, 256])
def test_the_published_loss_takes_few_operators(persons: int) -> None:
    """The authors' code takes 185 and 254, counted alike."""
    forward, backward = operators(RLEConfig(), persons=persons)
    assert len(forward) <= 100
    assert len(backward) <= 120


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    "config",
    [
        *(variants(AnyLoss)[name]() for name in LIKELIHOODS),
        RLEConfig(form="paper"),
    ],
    ids=[*LIKELIHOODS, "rle paper"],
)
def test_the_host_never_waits_for_the_device(config: LossConfig, dims: int) -> None:
    for names in operators(config, dims, persons=4, joints=5):
        assert not WAITING & {name.removeprefix("aten.") for name in names}
