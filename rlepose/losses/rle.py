"""Residual log-likelihood estimation (Li et al., ICCV 2021, section 3.3): equation 8, and the authors' code's form."""

import math
from typing import Literal

import torch
from torch import Tensor

from rlepose.losses.flows import JointFlows, standard_normal_log_prob
from rlepose.losses.likelihood import FlowDensity, log_gaussian, log_laplace

_Q = {"laplace": log_laplace, "gaussian": log_gaussian}


class RLE(FlowDensity):
    """The residual ē = (target − mu) / sigma has the density p̄(ē) = G(ē) Q(ē) / Z.

    G is the flow's density, Q a simple one, Z = ∫ G Q. So the flow learns only by how much labels deviate from Q. Which
    part of the scatter sigma carries and which the flow is not fixed by p̄ alone: see docs/likelihood.md.

    form 'paper':    the loss is −log p̄(ē) + Σ log sigma, with Z.
    form 'original': the loss is the authors' code's, Σ over coordinates of
                     [log sigma − log G]  +  [log(sigma √(2π)) + |ē| / √2].
                     Half of it is −log of G^(D/2) Q / Π sigma with Q a Laplace density of scale 2√2, up to a constant,
                     but without log Z: no likelihood of the flow's parameters. `log_prob` has the Z.

    q, q_scale: Q's family and its scale in units of sigma; the original's are fixed.
    The flow sees −ē, as in the authors' code.
    """

    def __init__(
        self,
        flows: JointFlows,
        form: Literal["paper", "original"] = "original",
        q: Literal["laplace", "gaussian"] = "laplace",
        q_scale: float = 1.0,
    ) -> None:
        super().__init__(flows)
        self.form = form
        self.q = "laplace" if form == "original" else q
        self.q_scale = 2 * math.sqrt(2) if form == "original" else q_scale
        self.power = self.dims / 2 if form == "original" else 1.0

    def loss(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        if self.form == "paper":
            return -self.log_prob(mu, sigma, target, joint)
        error = mu - target
        log_phi = self.flows.log_prob(error / sigma, joint)
        flow_term = sigma.log() - log_phi[:, None]
        # 1e-9 as in the original; beside a sigma of practical size it changes nothing.
        q_term = (sigma * math.sqrt(2 * math.pi)).log() + error.abs() / (math.sqrt(2) * sigma + 1e-9)
        return (flow_term + q_term).sum(dim=1)

    def residual_log_prob(self, residual: Tensor, joint: Tensor) -> Tensor:
        unnormalised = self.power * self.flows.log_prob(-residual, joint) + self._log_q(residual)
        return unnormalised - self.log_normaliser()[self.owner(joint)]

    def log_normaliser(self) -> Tensor:
        """log Z = log ∫ G^power Q of each flow: (1,), or (K,) with a flow a joint; differentiable.

        The integral is taken over the normal variable z of the flow, Z = E_z[G(x)^(power − 1) Q(x)] with x = flow⁻¹(z),
        so that the nodes lie where G is, however narrow it becomes: a grid for D ≤ 2, quasi-random points above.
        """
        nodes, log_weights = normal_nodes(self.dims, fine=not self.training)
        values = []
        for flow in self.flows:
            anchor = next(flow.parameters())
            z, log_weight = nodes.to(anchor), log_weights.to(anchor)
            x, log_det = flow.inverse(z)
            log_phi = standard_normal_log_prob(z) - log_det
            values.append(torch.logsumexp(log_weight + (self.power - 1) * log_phi + self._log_q(x), dim=0))
        return torch.stack(values)

    @torch.no_grad()
    def sample_residuals(self, count: int, joint: int, generator: torch.Generator) -> Tensor:
        # Draw from G, keep in proportion to the rest of the density.
        x = list(self.flows)[joint].sample(4 * count, generator)
        log_weight = self._log_q(x)
        if self.power != 1:
            log_weight = log_weight + (self.power - 1) * list(self.flows)[joint].log_prob(x)
        kept = torch.multinomial((log_weight - log_weight.max()).exp(), count, replacement=True, generator=generator)
        return -x[kept]

    def _log_q(self, residual: Tensor) -> Tensor:
        return _Q[self.q](residual, self.q_scale)


def normal_nodes(dims: int, fine: bool) -> tuple[Tensor, Tensor]:
    """Points z (M, D) and log weights (M,) with Σ w h(z) ≈ E[h(z)] for a standard normal z.

    The trapezoid rule, which converges fast for what falls off like a normal, on a grid for D ≤ 2; Sobol points above.
    """
    if dims > 2:
        uniform = torch.quasirandom.SobolEngine(dims).draw(1 << (17 if fine else 12))  # type: ignore[no-untyped-call]
        # The middle of each point's cell: 0, the first Sobol point, would go to infinity.
        points = torch.special.ndtri(uniform + 0.5 / len(uniform))
        return points, torch.full((len(points),), -math.log(len(points)))
    # In 1-D the original's form has a power of 1/2, which falls off slowly.
    reach, count = {1: (9.0, 513), 2: (5.5, 257 if fine else 49)}[dims]
    axis = torch.linspace(-reach, reach, count)
    points = torch.cartesian_prod(*[axis] * dims).view(-1, dims)
    return points, torch.log_softmax(standard_normal_log_prob(points), dim=0)
