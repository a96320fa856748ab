"""Normalizing flows: densities on R^D that are easy to evaluate and to sample."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Flow(nn.Module, ABC):
    """A density on R^dims: a standard normal z, seen through an invertible map to the data x.

    Computes in the precision of its parameters, also inside autocast.
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    @abstractmethod
    def _to_normal(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, D) -> z (N, D), log |det ∂z/∂x| (N,)."""

    @abstractmethod
    def _to_data(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (N, D) -> x (N, D), log |det ∂x/∂z| (N,)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data x (N, D) -> normal z (N, D) and log |det ∂z/∂x| (N,)."""
        with torch.autocast(x.device.type, enabled=False):
            return self._to_normal(self._checked(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Normal z (N, D) -> data x (N, D) and log |det ∂x/∂z| (N,)."""
        with torch.autocast(z.device.type, enabled=False):
            return self._to_data(self._checked(z))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats: (N, D) -> (N,)."""
        z, log_det = self.forward(x)
        return log_det + standard_normal_log_prob(z)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random points of the density: (count, D). `generator` lives on the flow's device."""
        anchor = next(self.parameters())
        z = torch.randn(count, self.dims, generator=generator, device=anchor.device, dtype=anchor.dtype)
        return self.inverse(z)[0]

    def _checked(self, points: Tensor) -> Tensor:
        if points.ndim != 2 or points.shape[1] != self.dims:
            raise ValueError(f"this flow is a density on R^{self.dims}, got points of shape {tuple(points.shape)}")
        return points.to(next(self.parameters()).dtype)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """(N, D) -> (N,), nats."""
    return -0.5 * (z.square().sum(dim=1) + z.shape[1] * math.log(2 * math.pi))


class Coupling(nn.Module):
    """One affine coupling of RealNVP (Dinh et al., ICLR 2017, section 3.2).

    The coordinates where `mask` is 1 pass unchanged and decide how the others are scaled and shifted:
    z = m x + (1 − m) (x − t(m x)) exp(−s(m x)), with |s| < scale_bound.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, width: int, activation: str, scale_bound: float) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.scale_bound = scale_bound
        self.scale = nn.Sequential(*_mlp(len(mask), width, activation), nn.Tanh())
        self.shift = nn.Sequential(*_mlp(len(mask), width, activation))

    def _scale_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        changed = 1 - self.mask
        return self.scale_bound * self.scale(kept) * changed, self.shift(kept) * changed

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, D) -> z (N, D), log |det ∂z/∂x| (N,)."""
        kept = x * self.mask
        scale, shift = self._scale_shift(kept)
        return kept + (1 - self.mask) * (x - shift) * torch.exp(-scale), -scale.sum(dim=1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (N, D) -> x (N, D), log |det ∂x/∂z| (N,)."""
        kept = z * self.mask
        scale, shift = self._scale_shift(kept)
        return kept + (1 - self.mask) * (z * torch.exp(scale) + shift), scale.sum(dim=1)


class RealNVP(Flow):
    """A stack of `depth` affine couplings. Starts as nearly the standard normal.

    dims:        D. With D = 1 there is nothing to couple: each layer is one learned scale and shift.
    masks:       D numbers in {0, 1} for each coupling, repeated until there are `depth`; None alternates between the
                 last coordinate alone and all others, as in the RLE authors' code.
    activation:  of the couplings' hidden layers, a key of ACTIVATIONS.
    scale_bound: a coupling scales a coordinate by at most e^scale_bound either way.

    Raises ValueError for masks of another length, or that leave a coordinate as it is in every coupling.
    """

    def __init__(
        self,
        dims: int = 2,
        depth: int = 6,
        width: int = 64,
        masks: Sequence[Sequence[int]] | None = None,
        activation: str = "leaky_relu",
        scale_bound: float = 1.0,
    ) -> None:
        super().__init__(dims)
        # Data pass the couplings in this order.
        self.couplings = nn.ModuleList(
            Coupling(mask, width, activation, scale_bound) for mask in _masks(dims, depth, masks)
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=0.01)
                nn.init.zeros_(module.bias)

    def _to_normal(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_det = x, x.new_zeros(len(x))
        for coupling in self.couplings:
            z, log_det_here = coupling(z)
            log_det = log_det + log_det_here
        return z, log_det

    def _to_data(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_det = z, z.new_zeros(len(z))
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, Coupling)
            x, log_det_here = coupling.inverse(x)
            log_det = log_det + log_det_here
        return x, log_det


def _masks(dims: int, depth: int, masks: Sequence[Sequence[int]] | None) -> list[Tensor]:
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
    return [torch.tensor(mask, dtype=torch.float32) for mask in used]


def _mlp(dims: int, width: int, activation: str) -> list[nn.Module]:
    act = ACTIVATIONS[activation]
    return [nn.Linear(dims, width), act(), nn.Linear(width, width), act(), nn.Linear(width, dims)]


class JointFlows(nn.Module):
    """The flows of a loss: one that all joints share, or one a joint.

    joint (N,) below is each row's joint number; a shared flow does not look at it.
    """

    def __init__(self, flows: Sequence[Flow]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)
        self.dims = flows[0].dims

    def __len__(self) -> int:
        return len(self.flows)

    def __iter__(self) -> Iterator[Flow]:
        return (flow for flow in self.flows if isinstance(flow, Flow))

    def owner(self, joint: Tensor) -> Tensor:
        """Which flow each row belongs to: (N,) -> (N,)."""
        return torch.zeros_like(joint) if len(self) == 1 else joint

    def forward(self, x: Tensor, joint: Tensor) -> tuple[Tensor, Tensor]:
        """Data x (N, D) -> normal z (N, D) and log |det ∂z/∂x| (N,)."""
        return self._each(x, joint, [flow.forward for flow in self])

    def inverse(self, z: Tensor, joint: Tensor) -> tuple[Tensor, Tensor]:
        """Normal z (N, D) -> data x (N, D) and log |det ∂x/∂z| (N,)."""
        return self._each(z, joint, [flow.inverse for flow in self])

    def log_prob(self, x: Tensor, joint: Tensor) -> Tensor:
        """Log density in nats: x (N, D) -> (N,)."""
        z, log_det = self.forward(x, joint)
        return log_det + standard_normal_log_prob(z)

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
