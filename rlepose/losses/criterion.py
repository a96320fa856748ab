"""From a batch of predictions and labels to its loss: score what is labelled, sum."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlepose.errors import InputError
from rlepose.losses.likelihood import JointLikelihood, LocationScale
from rlepose.pose.codec import PoseOutput

# A sigma below counts as this: some ten-thousandths of a pixel. Keeps a saturated sigmoid from giving log 0.
SMALLEST_SIGMA = 1e-6


class Criterion(nn.Module):
    """The loss of each person, Σ over labelled joints of weight × the likelihood's loss.

    likelihoods: one for D coordinates, then, for 3-D, one for joints whose label lacks the depth.
    planar: numbers of the joints whose labels always lack the depth, because it is known: the second scores them.
    A joint is scored by the likelihood of the first coordinates where its weight is above 0; what a coordinate without
    weight holds (NaN, infinity) reaches neither loss nor gradient: harmless numbers stand in for it from the start.

    Every likelihood gets a row for every joint, so shapes depend on the batch's size alone, and nothing waits for the
    device to count labels: a step can be compiled, or recorded as a CUDA graph.

    Example:
        >>> from rlepose.losses import RLE, JointFlows, RealNVP
        >>> criterion = Criterion([RLE(JointFlows([RealNVP(2)]))])
        >>> output = PoseOutput(mu=torch.zeros(4, 17, 2), sigma=torch.full((4, 17, 2), 0.1))
        >>> target, weight = torch.rand(4, 17, 2) - 0.5, torch.ones(4, 17, 2)
        >>> criterion(output, target, weight).shape
        torch.Size([4])
    """

    labels: Tensor

    def __init__(self, likelihoods: Sequence[JointLikelihood], planar: Sequence[int] = ()) -> None:
        super().__init__()
        self.likelihoods = nn.ModuleList(likelihoods)
        self.planar = list(planar)
        # A row a likelihood: which coordinates' labels it scores.
        axes = torch.arange(max(likelihood.dims for likelihood in likelihoods))
        labels = torch.stack([axes < likelihood.dims for likelihood in likelihoods])
        self.register_buffer("labels", labels, persistent=False)

    @property
    def main(self) -> JointLikelihood:
        """The likelihood of a joint whose D coordinates are labelled; in 3-D other joints have another."""
        return self._likelihood(0)

    @property
    def has_density(self) -> bool:
        """Whether `main` is a density of the residual, which says how far a label lies from a prediction."""
        return isinstance(self.main, LocationScale)

    def copied_density(self) -> LocationScale:
        """A copy of `main` on the CPU, in evaluation mode; InputError for `basic`, a density of absolute positions."""
        main = self.main
        if not isinstance(main, LocationScale):
            raise InputError("loss.name: basic has no density of the residual to calibrate; take another loss")
        return copy.deepcopy(main).cpu().eval()

    def residual_spread(self, joints: int) -> Tensor:
        """Standard deviation of target − mu in units of sigma, in the density that scores each joint: (K, D).

        joints: K. That of a joint's labels as they are when nothing is missing. The depth of planar joints is known: 0.
        """
        spread = self.main.residual_spread().expand(joints, -1)
        if self.planar:
            in_plane = self._likelihood(1).residual_spread().expand(joints, -1)
            spread = spread.clone()
            spread[self.planar] = nn.functional.pad(in_plane[self.planar], (0, self.main.dims - in_plane.shape[1]))
        return spread

    def _likelihood(self, number: int) -> JointLikelihood:
        likelihood = self.likelihoods[number]
        assert isinstance(likelihood, JointLikelihood)
        return likelihood

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms that `losses` gives: in 3-D of the joints with depth labels and of the joints without."""
        return () if len(self.likelihoods) == 1 else ("in_space", "in_plane")

    def forward(self, output: PoseOutput, target: Tensor, weight: Tensor) -> Tensor:
        """output.mu, output.sigma, target, weight (B, K, D) -> (B,). Training minimises their mean."""
        return self.losses(output, target, weight)[0]

    def losses(self, output: PoseOutput, target: Tensor, weight: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What `forward` gives, and its terms by name, (B,) each, through which no gradient passes."""
        if output.sigma is None and self.main.needs_sigma:
            raise ValueError(f"{type(self.main).__name__} needs a sigma; build the head with predict_sigma=True")
        sigma = torch.ones_like(output.mu) if output.sigma is None else _with_floor(output.sigma)
        persons, joints, _ = weight.shape
        joint = torch.arange(joints, device=weight.device).repeat(persons)
        mu, sigma, target, weight = (values.flatten(0, 1) for values in (output.mu, sigma, target, weight))
        labelled = weight > 0
        losses = []
        for likelihood, labels in zip(self.likelihoods, self.labels, strict=True):
            assert isinstance(likelihood, JointLikelihood)
            others = (labelled != labels).any(dim=1)
            # Fill first: infinity times a weight of 0 is NaN.
            mu_d, sigma_d, target_d = (
                values[:, : likelihood.dims].masked_fill(others.unsqueeze(1), harmless)
                for values, harmless in ((mu, 0), (sigma, 1), (target, 0))
            )
            losses.append(likelihood.loss(mu_d, sigma_d, target_d, joint) * weight[:, 0].masked_fill(others, 0))
        total = sum(losses[1:], losses[0]).view(persons, joints).sum(dim=1)
        terms = zip(self.term_names, losses, strict=False)
        return total, {name: term.detach().view(persons, joints).sum(dim=1) for name, term in terms}


def _with_floor(sigma: Tensor) -> Tensor:
    """Values at least SMALLEST_SIGMA; the gradient passes, so that what is too small can grow again."""
    return sigma + (sigma.clamp(min=SMALLEST_SIGMA) - sigma).detach()
