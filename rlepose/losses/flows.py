"""Normalizing flows: densities on R^D that are easy to evaluate and to sample."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from rlepose.losses.coupling import ACTIVATIONS, Couplings
from rlepose.losses.densities import DENSITIES


class Flow(nn.Module, ABC):
    """A density on R^dims: a simple z, seen through an invertible map to the data x.

    base: which z, a key of DENSITIES, of scale 1. Computes in the precision of its parameters, also inside autocast.
    """

    def __init__(self, dims: int, base: str = "gaussian") -> None:
        super().__init__()
        self.dims = dims
        self.base = DENSITIES[base]

    @abstractmethod
    def _to_base(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, D) -> z (N, D), log |det ∂z/∂x| (N,)."""

    @abstractmethod
    def _to_data(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (N, D) -> x (N, D), log |det ∂x/∂z| (N,)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data x (N, D) -> z (N, D) of the base and log |det ∂z/∂x| (N,)."""
        with torch.autocast(x.device.type, enabled=False):
            return self._to_base(self._checked(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (N, D) of the base -> data x (N, D) and log |det ∂x/∂z| (N,)."""
        with torch.autocast(z.device.type, enabled=False):
            return self._to_data(self._checked(z))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats: (N, D) -> (N,)."""
        z, log_det = self.forward(x)
        return log_det + self.base.log_prob(z)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Random points of the density: (count, D). `generator` lives on the flow's device."""
        return self.inverse(self.base.sample(count, self.dims, generator))[0]

    def _checked(self, points: Tensor) -> Tensor:
        if points.ndim != 2 or points.shape[1] != self.dims:
            raise ValueError(f"this flow is a density on R^{self.dims}, got points of shape {tuple(points.shape)}")
        return points.to(next(self.parameters()).dtype)


class RealNVP(Flow):
    """A stack of `depth` affine couplings (Dinh et al., ICLR 2017, section 3.2).

    In a coupling the coordinates where the mask m is 1 pass unchanged, and two small networks s and t of them scale and
    shift the others:

        z = m x + (1 − m) (x − t(m x)) exp(−s(m x)),    log |det ∂z/∂x| = −Σ (1 − m) s(m x),    |s| ≤ scale_bound

    The inverse is as easy, since z and x agree where the networks look. Masks act on weights, not on points: with a
    column of zeros in its first layer, a network does not see that coordinate; with a row of zeros in their last ones,
    s and t of a coordinate are 0, and it passes unchanged. coupling.py has the computation.

    dims:        D. With D = 1 there is nothing to couple: each layer is one learned scale and shift.
    masks:       D numbers in {0, 1} for each coupling, repeated until there are `depth`; None alternates between the
                 last coordinate alone and all others, as in the RLE authors' code.
    activation:  of the networks' two hidden layers, a key of ACTIVATIONS.
    scale_bound: a coupling scales a coordinate by at most e^scale_bound either way.
    base:        the density of z, a key of DENSITIES.
    init:        initial weights. 'small': nearly 0, so that the flow starts as nearly its base; 'torch': those of
                 nn.Linear, as in the RLE authors' code.

    Raises ValueError for masks of another length, or that leave a coordinate as it is in every coupling.
    """

    # A parameter holds the tensors of all couplings' networks: its first dimensions are coupling and network.
    stacked_dims: ClassVar[int] = 2
    seen: Tensor
    changed: Tensor

    def __init__(
        self,
        dims: int = 2,
        depth: int = 6,
        width: int = 64,
        masks: Sequence[Sequence[int]] | None = None,
        activation: str = "leaky_relu",
        scale_bound: float = 1.0,
        base: str = "gaussian",
        init: Literal["small", "torch"] = "small",
    ) -> None:
        super().__init__(dims, base)
        self.activation = activation
        self.scale_bound = scale_bound
        # Data pass the couplings in this order. The factors of the first layers' columns, and of the last layers' rows,
        # where −1 turns the shift: what is added gets the gradient of the sum, what is subtracted costs a negation.
        mask = _masks(dims, depth, masks)
        self.register_buffer("seen", mask[:, None, None], persistent=False)
        self.register_buffer("changed", torch.stack([1 - mask, mask - 1], dim=1), persistent=False)
        # By layer: (depth, 2, outputs, inputs) and (depth, 2, outputs); of the pairs, s is the first, t the second.
        sizes = [dims, width, width, dims]
        self.weights = nn.ParameterList(torch.empty(depth, 2, *shape) for shape in zip(sizes[1:], sizes, strict=False))
        self.biases = nn.ParameterList(torch.zeros(depth, 2, outputs) for outputs in sizes[1:])
        for weight, bias in zip(self.weights, self.biases, strict=True):
            for matrix in weight.flatten(0, 1):
                if init == "small":
                    nn.init.xavier_uniform_(matrix, gain=0.01)
                else:
                    nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))  # as nn.Linear.reset_parameters
            if init == "torch":
                bound = 1 / math.sqrt(weight.shape[-1])
                nn.init.uniform_(bias, -bound, bound)

    def _to_base(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, scale = self._couple(x, to_data=False)
        return z, -self.scale_bound * scale

    def _to_data(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, scale = self._couple(z, to_data=True)
        return x, self.scale_bound * scale

    def _couple(self, points: Tensor, to_data: bool) -> tuple[Tensor, Tensor]:
        """Through all couplings, and Σ s / scale_bound: (N, D) -> (N, D), (N,)."""
        first, second, last = self.weights
        layers = (
            first * self.seen,
            self.biases[0],
            second,
            self.biases[1],
            last * self.changed.unsqueeze(3),
            self.biases[2] * self.changed,
        )
        activation = ACTIVATIONS[self.activation]
        columns, scale = Couplings.apply(
            points.T.contiguous(), to_data, activation, self.scale_bound, torch.is_grad_enabled(), *layers
        )
        return columns.T, scale

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Takes also the state of separate modules a coupling: couplings.0.scale.0.weight, as in the authors' code."""

        def take(pattern: str) -> Tensor:
            names = [f"{prefix}couplings.{pattern.format(index)}" for index in range(len(self.seen))]
            return torch.stack([state_dict.pop(name) for name in names])

        if f"{prefix}couplings.0.mask" in state_dict:
            if not torch.equal(take("{}.mask"), self.seen[:, 0, 0]):
                args[-1].append("the masks of these couplings are not this flow's")
            for layer in range(3):
                for ours, theirs in (("weights", "weight"), ("biases", "bias")):
                    pair = [take(f"{{}}.{network}.{2 * layer}.{theirs}") for network in ("scale", "shift")]
                    state_dict[f"{prefix}{ours}.{layer}"] = torch.stack(pair, dim=1)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _masks(dims: int, depth: int, masks: Sequence[Sequence[int]] | None) -> Tensor:
    if masks is None:
        last = [0] * (dims - 1) + [1]
        masks = [[0]] if dims == 1 else [[1 - value for value in last], last]
    if not masks or any(len(mask) != dims or not set(mask) <= {0, 1} for mask in masks):
        raise ValueError(f"each mask needs {dims} numbers, 0 or 1, got {[list(mask) for mask in masks]}")
    used = [masks[index % len(masks)] for index in range(depth)]
    if any(all(mask[coordinate] for mask in used) for coordinate in range(dims)):
        raise ValueError(
            f"the masks {[*map(list, used)]} leave a coordinate unchanged in all {depth} couplings; "
            "raise the depth or change them"
        )
    return torch.tensor(used, dtype=torch.float32)


class JointFlows(nn.Module):
    """The flows of a loss: one that all joints share, or one a joint.

    joint (N,) below is each row's joint number; a shared flow does not look at it.
    """

    def __init__(self, flows: Sequence[Flow]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)
        self.dims, self.base = flows[0].dims, flows[0].base

    def __len__(self) -> int:
        return len(self.flows)

    def __iter__(self) -> Iterator[Flow]:
        return (flow for flow in self.flows if isinstance(flow, Flow))

    def of(self, joint: int) -> Flow:
        """The flow of a joint."""
        return list(self)[0 if len(self) == 1 else joint]

    def numbers(self, joint: Tensor) -> Tensor:
        """The number of each row's flow: (N,) -> (N,)."""
        return torch.zeros_like(joint) if len(self) == 1 else joint

    def forward(self, x: Tensor, joint: Tensor) -> tuple[Tensor, Tensor]:
        """Data x (N, D) -> z (N, D) of the base and log |det ∂z/∂x| (N,)."""
        return self._each(x, joint, [flow.forward for flow in self])

    def inverse(self, z: Tensor, joint: Tensor) -> tuple[Tensor, Tensor]:
        """z (N, D) of the base -> data x (N, D) and log |det ∂x/∂z| (N,)."""
        return self._each(z, joint, [flow.inverse for flow in self])

    def log_prob(self, x: Tensor, joint: Tensor) -> Tensor:
        """Log density in nats: x (N, D) -> (N,)."""
        z, log_det = self.forward(x, joint)
        return log_det + self.base.log_prob(z)

    def _each(
        self, points: Tensor, joint: Tensor, maps: Sequence[Callable[[Tensor], tuple[Tensor, Tensor]]]
    ) -> tuple[Tensor, Tensor]:
        if len(maps) == 1:
            return maps[0](points)
        # Every flow is called, if only with no rows: on each rank its parameters need a gradient.
        rows = [(joint == index).nonzero().squeeze(1) for index in range(len(maps))]
        mapped, log_dets = zip(*(apply(points[chosen]) for apply, chosen in zip(maps, rows, strict=True)), strict=True)
        back = torch.argsort(torch.cat(rows))
        return torch.cat(mapped)[back], torch.cat(log_dets)[back]
