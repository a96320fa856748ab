"""What a network costs: parameters and multiply-adds, and the share of the last layers in both."""

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
    """Of one person: of a crop or, in lifting, of a 2-D pose.

    multiply_adds: of convolutions and matrix products; sums, norms and activations are not counted.
    head_parameters, head_multiply_adds: of the head or, in lifting, of the last layers.
    """

    parameters: int
    multiply_adds: int
    head_parameters: int
    head_multiply_adds: int


def untrained_network(config: Config) -> PoseModel | LiftingNet:
    """A config's network with random weights, in evaluation mode.

    InputError where it has a head and `data.num_keypoints` is not set.
    """
    if isinstance(config.model, LiftingModelConfig):
        return lifting_network(config).eval()
    joints = config.data.num_keypoints
    if joints is None:
        raise InputError(
            "data.num_keypoints: null leaves the head's size to the annotation file; set it to the number of joints"
        )
    return network_of(config, joints, pretrained=False).eval()


def blank_input(config: Config, batch: int, device: torch.device | None = None) -> Tensor:
    """What a config's network reads of so many persons, all of it 0: crops, or 2-D poses."""
    if isinstance(config.model, LiftingModelConfig):
        return torch.zeros(batch, INPUTS, device=device)
    return torch.zeros(batch, 3, *config.data.input_size_hw, dtype=torch.uint8, device=device)


def model_cost(config: Config) -> Cost:
    """The cost of a config's network at its input size. Tensors have shapes but no values: nothing is computed or
    fetched. InputError as of `untrained_network`."""
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
    """A table, a row for each named network."""
    width = max(map(len, costs), default=0)
    lines = [f"{'':<{width}} {'parameters':>12} {'of the head':>12} {'multiply-adds':>14} {'of the head':>13}"]
    lines += [
        f"{name:<{width}} {_millions(cost.parameters):>12} {_millions(cost.head_parameters):>12} "
        f"{_millions(cost.multiply_adds):>14} {_millions(cost.head_multiply_adds):>13}"
        for name, cost in costs.items()
    ]
    return "\n".join(lines)


def _millions(count: int) -> str:
    """'23.65 M', and '4.00 G' of billions."""
    return f"{count / 1e9:.2f} G" if count >= 1e9 else f"{count / 1e6:.2f} M"
