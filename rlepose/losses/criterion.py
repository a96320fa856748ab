"""From a batch of predictions and labels to its loss: select what is labelled, score it, sum."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlepose.codec import PoseOutput
from rlepose.losses.likelihood import JointLikelihood

# A sigma below counts as this: a hundred-thousandth of a pixel or so. Keeps a saturated sigmoid from giving log 0.
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
        sigma = torch.ones_like(output.mu) if output.sigma is None else output.sigma.clamp(min=SMALLEST_SIGMA)
        labelled = weight > 0
        total = output.mu.new_zeros(weight.shape[:2])
        for likelihood in self.likelihoods:
            assert isinstance(likelihood, JointLikelihood)
            dims = likelihood.dims
            # Select first, multiply never: infinity times a weight of 0 is NaN.
            chosen = labelled[..., :dims].all(dim=-1) & ~labelled[..., dims:].any(dim=-1)
            joint = chosen.nonzero()[:, 1]
            mu_d, sigma_d, target_d = (values[chosen][:, :dims] for values in (output.mu, sigma, target))
            loss = likelihood.loss(mu_d, sigma_d, target_d, joint) * weight[chosen][:, 0]
            total = total.masked_scatter(chosen, loss)
        return total.sum(dim=1)
