"""The cost of a network: parameters and multiply-adds, and the fraction of the last layers in both."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from rlepose.config.config import Config
from rlepose.datasets.lifting_codec import INPUTS
from rlepose.errors import InputError
from rlepose.models.lifting_net import LiftingNet, lifting_network
from rlepose.models.options import LiftingModelConfig
from rlepose.models.pose_model import PoseModel, network_of

_LAST_LAYERS = ("head", "coordinates", "scales")  # a PoseModel's, and a LiftingNet's two


@dataclass(frozen=True)
class Cost:
    """The cost for one person: for a crop or, in lifting, for a 2-D pose.

    multiply_adds: convolutions and matrix products; sums, norms and activations are free.
    head_parameters, head_multiply_adds: of the head or, in lifting, of the last layers.
    """

    parameters: int
    multiply_adds: int
    head_parameters: int
    head_multiply_adds: int


def untrained_network(config: Config) -> PoseModel | LiftingNet:
    """Return a config's network with random weights, in evaluation mode.

    InputError for a network with a head without `data.num_keypoints`.
    """
    if isinstance(config.model, LiftingModelConfig):
        return lifting_network(config).eval()
    joints = config.data.num_keypoints
    if joints is None:
        raise InputError("data.num_keypoints: null, so the size of the head is unknown; set it to the number of joints")
    return network_of(config, joints, pretrained=False).eval()


def blank_input(config: Config, batch: int, device: torch.device | None = None) -> Tensor:
    """Return an input of zeros for a config's network, for `batch` persons: crops, or 2-D poses."""
    if isinstance(config.model, LiftingModelConfig):
        return torch.zeros(batch, INPUTS, device=device)
    return torch.zeros(batch, 3, *config.data.input_size_hw, dtype=torch.uint8, device=device)


def model_cost(config: Config) -> Cost:
    """Return the cost of a config's network at its input size, from shapes alone: nothing is computed or downloaded.
    InputError as in `untrained_network`."""
    with FakeTensorMode(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = untrained_network(config)
        model(blank_input(config, 1))
    last = {name: layer for name in _LAST_LAYERS if (layer := getattr(model, name, None)) is not None}
    flops = counter.get_flop_counts()
    head = sum(sum(flops.get(f"{type(model).__name__}.{name}", {}).values()) for name in last)
    # torch counts a multiply-add as two operations.
    return Cost(
        parameters=sum(p.numel() for p in model.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        head_parameters=sum(p.numel() for layer in last.values() for p in layer.parameters()),
        head_multiply_adds=head // 2,
    )


def format_costs(costs: dict[str, Cost]) -> str:
    """Return a table with one row per network."""
    width = max(map(len, costs), default=0)
    lines = [f"{'':<{width}} {'parameters':>12} {'of the head':>12} {'multiply-adds':>14} {'of the head':>13}"]
    lines += [
        f"{name:<{width}} {_millions(cost.parameters):>12} {_millions(cost.head_parameters):>12} "
        f"{_millions(cost.multiply_adds):>14} {_millions(cost.head_multiply_adds):>13}"
        for name, cost in costs.items()
    ]
    return "\n".join(lines)


def _millions(count: int) -> str:
    """Format as '23.65 M', or billions as '4.00 G'."""
    return f"{count / 1e9:.2f} G" if count >= 1e9 else f"{count / 1e6:.2f} M"
