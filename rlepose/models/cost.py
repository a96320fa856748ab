"""The cost of a network: parameters and multiply-adds, and the head's share of both."""

from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.models.pose_model import PoseModel, network_of


@dataclass(frozen=True)
class Cost:
    """The cost of one crop. multiply_adds: convolutions and matrix products; sums, norms and activations are free."""

    parameters: int
    multiply_adds: int
    head_parameters: int
    head_multiply_adds: int


def untrained_model(config: Config) -> PoseModel:
    """Return a config's network with random weights, in evaluation mode. InputError without `data.num_keypoints`."""
    joints = config.data.num_keypoints
    if joints is None:
        raise InputError("data.num_keypoints: null, so the size of the head is unknown; set it to the number of joints")
    return network_of(config, joints, pretrained=False).eval()


def model_cost(config: Config) -> Cost:
    """Return the cost of a config's network at its input size, from shapes alone: nothing is computed or downloaded.
    InputError as in `untrained_model`."""
    with FakeTensorMode(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = untrained_model(config)
        model(torch.zeros(1, 3, *config.data.input_size_hw))
    head = sum(counter.get_flop_counts().get(f"{type(model).__name__}.head", {}).values())
    # torch counts a multiply-add as two operations.
    return Cost(
        parameters=sum(p.numel() for p in model.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        head_parameters=sum(p.numel() for p in model.head.parameters()),
        head_multiply_adds=head // 2,
    )


def format_costs(costs: dict[str, Cost]) -> str:
    """Return a table with one row per network: millions of parameters, billions of multiply-adds."""
    width = max(map(len, costs), default=0)
    lines = [f"{'':<{width}} {'parameters':>12} {'of the head':>12} {'multiply-adds':>14} {'of the head':>13}"]
    lines += [
        f"{name:<{width}} {cost.parameters / 1e6:10.2f} M {cost.head_parameters / 1e6:10.2f} M "
        f"{cost.multiply_adds / 1e9:12.2f} G {cost.head_multiply_adds / 1e9:11.4f} G"
        for name, cost in costs.items()
    ]
    return "\n".join(lines)
