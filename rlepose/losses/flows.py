"""Normalizing flows: densities on R^D that are easy to evaluate and to sample."""

import math

import torch
from torch import Tensor, nn


class Coupling(nn.Module):
    """One affine coupling of RealNVP (Dinh et al., ICLR 2017, section 3.2).

    The coordinates where `mask` is 1 pass unchanged and decide how the others are scaled and shifted:
    z = m x + (1 − m) (x − t(m x)) exp(−s(m x)).
    """

    mask: Tensor

    def __init__(self, mask: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        # tanh bounds s: a coupling scales by at most e.
        self.scale = nn.Sequential(*_mlp(len(mask), width), nn.Tanh())
        self.shift = nn.Sequential(*_mlp(len(mask), width))

    def _scale_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        changed = 1 - self.mask
        return self.scale(kept) * changed, self.shift(kept) * changed

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


class RealNVP(nn.Module):
    """A density on R^D, D ≥ 2: a standard normal seen through `depth` couplings.

    Masks alternate between the last coordinate alone and all others, as in the RLE authors' code. Starts as nearly the
    standard normal. Computes in the precision of its parameters, also inside autocast.
    """

    def __init__(self, dims: int = 2, depth: int = 6, width: int = 64) -> None:
        super().__init__()
        if dims < 2:
            raise ValueError(f"RealNVP needs two coordinates to couple, got dims={dims}")
        self.dims = dims
        last = torch.zeros(dims)
        last[-1] = 1
        # Data pass the couplings in this order.
        self.couplings = nn.ModuleList(Coupling(1 - last if i % 2 == 0 else last, width) for i in range(depth))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=0.01)
                nn.init.zeros_(module.bias)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data x (N, D) -> normal z (N, D) and log |det ∂z/∂x| (N,)."""
        with torch.autocast(x.device.type, enabled=False):
            z = x.to(self._dtype)
            log_det = z.new_zeros(len(z))
            for coupling in self.couplings:
                z, log_det_here = coupling(z)
                log_det = log_det + log_det_here
        return z, log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Normal z (N, D) -> data x (N, D) and log |det ∂x/∂z| (N,)."""
        with torch.autocast(z.device.type, enabled=False):
            x = z.to(self._dtype)
            log_det = x.new_zeros(len(x))
            for coupling in reversed(self.couplings):
                assert isinstance(coupling, Coupling)
                x, log_det_here = coupling.inverse(x)
                log_det = log_det + log_det_here
        return x, log_det

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats: (N, D) -> (N,)."""
        z, log_det = self.forward(x)
        return log_det - 0.5 * (z.square().sum(dim=1) + self.dims * math.log(2 * math.pi))

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random points of the density: (count, D). `generator` lives on the flow's device."""
        device = next(self.parameters()).device
        z = torch.randn(count, self.dims, generator=generator, device=device, dtype=self._dtype)
        return self.inverse(z)[0]


def _mlp(dims: int, width: int) -> list[nn.Module]:
    return [
        nn.Linear(dims, width),
        nn.LeakyReLU(),
        nn.Linear(width, width),
        nn.LeakyReLU(),
        nn.Linear(width, dims),
    ]
