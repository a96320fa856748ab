"""Residual log-likelihood estimation (Li et al., ICCV 2021, section 3.3): equation 8, and the authors' code's loss."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from rlepose.losses.densities import DENSITIES
from rlepose.losses.flows import JointFlows
from rlepose.losses.likelihood import FlowDensity

_ORIGINAL_SCALE = 2 * math.sqrt(2)
# Per coordinate, the difference between the authors' loss and −2 log of G^(D/2) Q / Π sigma.
_ORIGINAL_CONSTANT = 0.5 * math.log(2 * math.pi) - 2 * math.log(2 * _ORIGINAL_SCALE)


class RLE(FlowDensity):
    """The residual ē = (target − mu) / sigma has the density p̄(ē) = G(ē) Q(ē) / Z.

    G is the flow's density, Q a simple one, Z = ∫ G Q. The flow thus learns how labels deviate from Q. p̄ alone does
    not determine how sigma and the flow share the scatter; see docs/likelihood.md. The flow sees −ē, as in the
    authors' code.

    Args:
        flows: the flow of all joints, or one per joint.
        form: 'paper': the loss is −log p̄(ē) + Σ log sigma, with Z.
            'original': the loss of the authors' code, Σ over coordinates of
            [log sigma − log G]  +  [log(sigma √(2π)) + |ē| / √2].
            Half of it is −log of G^(D/2) Q / Π sigma with Q a Laplace density of scale 2√2, up to a constant, but
            without log Z, so it is no likelihood of the flow's parameters. `log_prob` includes Z.
        q: family of Q; fixed for 'original'.
        q_scale: scale of Q in units of sigma; fixed for 'original'.

    Raises ValueError for q or q_scale with the original form.

    Example:
        >>> import torch
        >>> from rlepose.losses import JointFlows, RealNVP
        >>> likelihood = RLE(JointFlows([RealNVP(2)]), form="paper")
        >>> mu, sigma, target = torch.zeros(3, 2), torch.full((3, 2), 0.1), torch.full((3, 2), 0.05)
        >>> likelihood.log_prob(mu, sigma, target, joint=torch.tensor([0, 1, 2])).shape
        torch.Size([3])
    """

    base_points: Tensor
    q_points: Tensor

    def __init__(
        self,
        flows: JointFlows,
        form: Literal["paper", "original"] = "original",
        q: Literal["laplace", "gaussian"] = "laplace",
        q_scale: float = 1.0,
    ) -> None:
        super().__init__(flows)
        if form == "original" and (q, q_scale) != ("laplace", 1.0):
            raise ValueError(f"q={q!r} and q_scale={q_scale:g} need form='paper'; form='original' has a fixed Q")
        self.form = form
        self.q = DENSITIES["laplace" if form == "original" else q]
        self.q_scale = _ORIGINAL_SCALE if form == "original" else q_scale
        self.power = self.dims / 2 if form == "original" else 1.0
        for name, points in zip(("base_points", "q_points"), self._points(fine=False), strict=True):
            self.register_buffer(name, points.float(), persistent=False)

    def loss(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        if self.form == "paper":
            return -self.log_prob(mu, sigma, target, joint)
        log_density = self.unnormalised_log_prob((target - mu) / sigma, joint) - sigma.log().sum(dim=1)
        return _ORIGINAL_CONSTANT * self.dims - 2 * log_density

    def residual_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        normaliser = self.log_normaliser()
        if self.num_densities > 1:
            normaliser = normaliser[self.density_of(joint)]
        return self.unnormalised_log_prob(residual, joint) - normaliser

    def unnormalised_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        """Return log G^power Q, without Z."""
        return self.power * self.flows.log_prob(-residual, joint) + self._log_q(residual)

    def log_normaliser(self) -> Tensor:
        """Return log Z = log ∫ G^power Q for each flow: (1,), or (K,) with a flow per joint; differentiable.

        Integrated at fixed points of both densities: with h = G^power Q / (G + Q), Z = E_G[h] + E_Q[h] (Veach's balance
        heuristic). Points of one density are not enough: training then finds a flow that hides Q between the points of
        G (a wide flow) or G between the points of Q (a narrow one), and an underestimated Z overestimates the
        likelihood. For power 1, h never exceeds the smaller of G and Q, so nothing can hide.
        """
        points = (self.base_points, self.q_points) if self.training else self._points(fine=True)
        values = []
        for flow in self.flows:
            z, of_q = (part.to(next(flow.parameters())) for part in points)
            of_g, log_det = flow.inverse(z)
            log_g = torch.cat([flow.base.log_prob(z) - log_det, flow.log_prob(of_q)])
            log_h = self._log_h(log_g, self._log_q(torch.cat([of_g, of_q])))
            values.append(torch.logsumexp(log_h, dim=0) - math.log(len(z)))
        return torch.stack(values)

    @torch.no_grad()
    def sample_residuals(self, count: int, joint: int, generator: torch.Generator) -> Tensor:
        # Draw from both densities, as for Z, then resample in proportion to p̄ / (G + Q).
        flow = self.flows.of(joint)
        of_g = flow.sample(4 * count, generator)
        of_q = self.q_scale * self.q.sample(4 * count, self.dims, generator)
        x = torch.cat([of_g, of_q.to(of_g)])
        log_weight = self._log_h(flow.log_prob(x), self._log_q(x))
        kept = torch.multinomial((log_weight - log_weight.max()).exp(), count, replacement=True, generator=generator)
        return -x[kept]

    def _log_h(self, log_g: Tensor, log_q: Tensor) -> Tensor:
        """Return log of G^power Q / (G + Q)."""
        return self.power * log_g + log_q - torch.logaddexp(log_g, log_q)

    def _log_q(self, residual: Tensor) -> Tensor:
        return self.q.log_prob(residual, self.q_scale)

    def _points(self, fine: bool) -> tuple[Tensor, Tensor]:
        """Return points of the flows' base, which a flow maps to its own points, and points of Q: (M, D), float64."""
        points = unit_points(self.dims, fine)
        return self.flows.base.quantile(points), self.q_scale * self.q.quantile(points)


def unit_points(dims: int, fine: bool) -> Tensor:
    """Return evenly spread points inside the unit cube: (M, D) float64. A grid for D ≤ 2, Sobol points above."""
    if dims > 2:
        count = 1 << (17 if fine else 12)
        return SobolEngine(dims).draw(count, dtype=torch.float64) + 0.5 / count  # type: ignore[no-untyped-call]
    # Even counts, so that the kink of a Laplace density lies between two points.
    count = {1: 512, 2: 256 if fine else 40}[dims]
    axis = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return torch.cartesian_prod(*[axis] * dims).view(-1, dims)
