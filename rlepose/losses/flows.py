"""Normalizing flows: densities on R^D that are cheap to evaluate and to sample."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from rlepose.losses.coupling import ACTIVATIONS, Couplings
from rlepose.losses.densities import DENSITIES


class Flow(nn.Module, ABC):
    """A density on R^dims: a simple density of z, and an invertible map from z to the data x.

    base: the density of z, a key of DENSITIES, with scale 1. Flows compute in the precision of their parameters, even
    inside autocast.
    """

    def __init__(self, dims: int, base: str = "gaussian") -> None:
        super().__init__()
        self.dims = dims
        self.base = DENSITIES[base]

    @abstractmethod
    def _to_base(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (N, D) to z (N, D) and log |det ∂z/∂x| (N,)."""

    @abstractmethod
    def _to_data(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map z (N, D) to x (N, D) and log |det ∂x/∂z| (N,)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map data x (N, D) to z (N, D) of the base and log |det ∂z/∂x| (N,)."""
        with torch.autocast(x.device.type, enabled=False):
            return self._to_base(self._checked(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map z (N, D) of the base to data x (N, D) and log |det ∂x/∂z| (N,)."""
        with torch.autocast(z.device.type, enabled=False):
            return self._to_data(self._checked(z))

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log density, nats: (N, D) -> (N,)."""
        z, log_det = self.forward(x)
        return log_det + self.base.log_prob(z)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw points from the density: (count, D). `generator` must be on the flow's device."""
        return self.inverse(self.base.sample(count, self.dims, generator))[0]

    def _checked(self, points: Tensor) -> Tensor:
        if points.ndim != 2 or points.shape[1] != self.dims:
            raise ValueError(f"this flow is a density on R^{self.dims}, got points of shape {tuple(points.shape)}")
        return points.to(next(self.parameters()).dtype)


class RealNVP(Flow):
    """A stack of `depth` affine couplings (Dinh et al., ICLR 2017, section 3.2).

    A coupling leaves the coordinates with mask m = 1 unchanged, and two small networks s and t of these scale and shift
    the others:

        z = m x + (1 − m) (x − t(m x)) exp(−s(m x)),    log |det ∂z/∂x| = −Σ (1 − m) s(m x),    |s| ≤ scale_bound

    The inverse is as cheap, because z and x agree in the coordinates that the networks read. Masks act on weights, not
    on points: zero columns in the first layer hide a coordinate from a network, and zero rows in the last layers make s
    and t of a coordinate 0, so that it does not change. coupling.py has the computation.

    Args:
        dims: D. With D = 1 there is nothing to couple: each layer is one learned scale and shift.
        depth: number of couplings.
        width: hidden units of the networks.
        masks: D numbers in {0, 1} per coupling, repeated up to `depth`; None alternates between the last coordinate and
            all others, as in the RLE authors' code.
        activation: activation of the networks' two hidden layers, a key of ACTIVATIONS.
        scale_bound: a coupling scales a coordinate by at most e^scale_bound in either direction.
        base: the density of z, a key of DENSITIES.
        init: initial weights. 'small': nearly 0, so that the flow is nearly its base at first; 'torch': the default of
            nn.Linear, as in the RLE authors' code.

    Raises ValueError for masks of another length, or that leave a coordinate unchanged in every coupling.

    Example:
        >>> flow = RealNVP(dims=2)
        >>> x = torch.randn(5, 2)
        >>> z, log_det = flow(x)
        >>> torch.allclose(flow.inverse(z)[0], x, atol=1e-5), log_det.shape
        (True, torch.Size([5]))
        >>> flow.log_prob(x).shape
        torch.Size([5])
    """

    # A parameter stacks the tensors of all couplings' networks: its first two dimensions are coupling and network.
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
        # Data pass the couplings in this order. `seen` and `changed` multiply columns of first layers and rows of last
        # layers. −1 turns the subtraction of t into an addition, whose gradient needs no negation.
        mask = _masks(dims, depth, masks)
        self.register_buffer("seen", mask[:, None, None], persistent=False)
        self.register_buffer("changed", torch.stack([1 - mask, mask - 1], dim=1), persistent=False)
        # One tensor per layer, (depth, 2, outputs, inputs) and (depth, 2, outputs); of each pair, s is first, t second.
        sizes = [dims, width, width, dims]
        self.weights = nn.ParameterList(torch.empty(depth, 2, *shape) for shape in zip(sizes[1:], sizes, strict=False))
        self.biases = nn.ParameterList(torch.zeros(depth, 2, outputs) for outputs in sizes[1:])
        for weight, bias in zip(self.weights, self.biases, strict=True):
            for matrix in weight.flatten(0, 1):
                if init == "small":
                    nn.init.xavier_uniform_(matrix, gain=0.01)
                else:
                    nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))  # like nn.Linear.reset_parameters
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
        """Map points through all couplings; also return Σ s / scale_bound: (N, D) -> (N, D), (N,)."""
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
        """Also accept the state of one module per coupling, couplings.0.scale.0.weight, as in the authors' code."""

        def take(pattern: str) -> Tensor:
            names = [f"{prefix}couplings.{pattern.format(index)}" for index in range(len(self.seen))]
            return torch.stack([state_dict.pop(name) for name in names])

        if f"{prefix}couplings.0.mask" in state_dict:
            if not torch.equal(take("{}.mask"), self.seen[:, 0, 0]):
                args[-1].append("the masks in the state dict differ from the masks of this flow")
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
            "increase the depth or change the masks"
        )
    return torch.tensor(used, dtype=torch.float32)


class JointFlows(nn.Module):
    """The flows of a loss: one that all joints share, or one per joint.

    joint (N,) is the joint index of each row; a shared flow ignores it.
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
        """Return the flow of a joint."""
        return list(self)[0 if len(self) == 1 else joint]

    def numbers(self, joint: Tensor) -> Tensor:
        """Return the index of each row's flow: (N,) -> (N,)."""
        return torch.zeros_like(joint) if len(self) == 1 else joint

    def forward(self, x: Tensor, joint: Tensor) -> tuple[Tensor, Tensor]:
        """Map data x (N, D) to z (N, D) of the base and log |det ∂z/∂x| (N,)."""
        return self._each(x, joint, [flow.forward for flow in self])

    def inverse(self, z: Tensor, joint: Tensor) -> tuple[Tensor, Tensor]:
        """Map z (N, D) of the base to data x (N, D) and log |det ∂x/∂z| (N,)."""
        return self._each(z, joint, [flow.inverse for flow in self])

    def log_prob(self, x: Tensor, joint: Tensor) -> Tensor:
        """Return the log density, nats: x (N, D) -> (N,)."""
        z, log_det = self.forward(x, joint)
        return log_det + self.base.log_prob(z)

    def _each(
        self, points: Tensor, joint: Tensor, maps: Sequence[Callable[[Tensor], tuple[Tensor, Tensor]]]
    ) -> tuple[Tensor, Tensor]:
        if len(maps) == 1:
            return maps[0](points)
        # Call every flow, even without rows: its parameters need a gradient on each rank.
        rows = [(joint == index).nonzero().squeeze(1) for index in range(len(maps))]
        mapped, log_dets = zip(*(apply(points[chosen]) for apply, chosen in zip(maps, rows, strict=True)), strict=True)
        back = torch.argsort(torch.cat(rows))
        return torch.cat(mapped)[back], torch.cat(log_dets)[back]
