"""From a batch of predictions and labels to its loss: select what is labelled, score it, sum."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlepose.codec import PoseOutput
from rlepose.losses.likelihood import JointLikelihood

# A sigma below counts as this: some ten-thousandths of a pixel. Keeps a saturated sigmoid from giving log 0.
SMALLEST_SIGMA = 1e-6


class Criterion(nn.Module):
    """The loss of each person, Σ over labelled joints of weight × the likelihood's loss.

    likelihoods: one for D coordinates, then, for 3-D, one for joints whose label lacks the depth.
    A joint is scored by the likelihood of the first coordinates where its weight is above 0; what a coordinate without
    weight holds (NaN, infinity) reaches neither loss nor gradient.
    """

    def __init__(self, likelihoods: Sequence[JointLikelihood]) -> None:
        super().__init__()
        self.likelihoods = nn.ModuleList(likelihoods)

    @property
    def main(self) -> JointLikelihood:
        """The likelihood of a completely labelled joint."""
        likelihood = self.likelihoods[0]
        assert isinstance(likelihood, JointLikelihood)
        return likelihood

    def forward(self, output: PoseOutput, target: Tensor, weight: Tensor) -> Tensor:
        """output.mu, output.sigma, target, weight (B, K, D) -> (B,). Training minimises their mean."""
        if output.sigma is None and self.main.needs_sigma:
            raise ValueError(f"{type(self.main).__name__} needs a sigma; build the head with predict_sigma=True")
        sigma = torch.ones_like(output.mu) if output.sigma is None else _with_floor(output.sigma)
        persons, joints, _ = weight.shape
        mu, sigma, target, weight = (values.flatten(0, 1) for values in (output.mu, sigma, target, weight))
        labelled = weight > 0
        losses = mu.new_zeros(persons * joints)
        for likelihood in self.likelihoods:
            assert isinstance(likelihood, JointLikelihood)
            dims = likelihood.dims
            # Select first, multiply never: infinity times a weight of 0 is NaN.
            rows = (labelled[:, :dims].all(dim=1) & ~labelled[:, dims:].any(dim=1)).nonzero().squeeze(1)
            mu_d, sigma_d, target_d = (values.index_select(0, rows)[:, :dims] for values in (mu, sigma, target))
            loss = likelihood.loss(mu_d, sigma_d, target_d, rows % joints) * weight.index_select(0, rows)[:, 0]
            losses = losses.index_copy(0, rows, loss)
        return losses.view(persons, joints).sum(dim=1)


def _with_floor(sigma: Tensor) -> Tensor:
    """Values at least SMALLEST_SIGMA; the gradient passes, so that what is too small can grow again."""
    return sigma + (sigma.clamp(min=SMALLEST_SIGMA) - sigma).detach()
