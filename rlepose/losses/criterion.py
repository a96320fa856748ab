"""Compute the loss of a batch: score the labelled joints and sum."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlepose.errors import InputError
from rlepose.losses.likelihood import JointLikelihood, LocationScale
from rlepose.pose.codec import PoseOutput

# Lower bound of sigma: some ten-thousandths of a pixel. Prevents log 0 when a sigmoid saturates.
SMALLEST_SIGMA = 1e-6


class Criterion(nn.Module):
    """The loss of each person: Σ over labelled joints of weight × the likelihood's loss.

    A joint counts as labelled where its weight is above 0, and is scored by the likelihood of its labelled coordinates.
    Values of unlabelled coordinates (NaN, infinity) affect neither loss nor gradient: constants replace them first.

    Every likelihood gets one row per joint, so shapes depend only on the batch size, and no count of labels makes the
    host wait for the device: a step can be compiled or recorded as a CUDA graph.

    Args:
        likelihoods: the likelihood of D coordinates and, in 3-D, a second one for joints without a depth label.
        planar: indices of joints whose depth is known and therefore never a label: the second likelihood scores them.

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
        # One row per likelihood: the coordinates whose labels it scores.
        axes = torch.arange(max(likelihood.dims for likelihood in likelihoods))
        labels = torch.stack([axes < likelihood.dims for likelihood in likelihoods])
        self.register_buffer("labels", labels, persistent=False)

    @property
    def main(self) -> JointLikelihood:
        """The likelihood of joints with all D coordinates labelled."""
        return self._likelihood(0)

    @property
    def has_density(self) -> bool:
        """Whether `main` is a density of the residual between label and prediction."""
        return isinstance(self.main, LocationScale)

    def copied_density(self) -> LocationScale:
        """Return a copy of `main` on the CPU, in evaluation mode; InputError for `basic`, a density of positions."""
        main = self.main
        if not isinstance(main, LocationScale):
            raise InputError("loss.name: basic has no density of the residual to calibrate; use another loss")
        return copy.deepcopy(main).cpu().eval()

    def residual_spread(self, joints: int) -> Tensor:
        """Return the standard deviation of target − mu in units of sigma, for each joint: (K, D).

        Each joint uses the density that scores its complete label. The depth of planar joints is known: 0.
        joints: K.
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
        """Names of the terms that `losses` returns: in 3-D, joints with and joints without a depth label."""
        return () if len(self.likelihoods) == 1 else ("in_space", "in_plane")

    def forward(self, output: PoseOutput, target: Tensor, weight: Tensor) -> Tensor:
        """Return the loss of each person, (B,), for output.mu, output.sigma, target and weight (B, K, D)."""
        return self.losses(output, target, weight)[0]

    def losses(self, output: PoseOutput, target: Tensor, weight: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss as `forward` does, and its named terms, (B,) each, detached."""
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
            # Fill before multiplying: infinity times a weight of 0 is NaN.
            mu_d, sigma_d, target_d = (
                values[:, : likelihood.dims].masked_fill(others.unsqueeze(1), harmless)
                for values, harmless in ((mu, 0), (sigma, 1), (target, 0))
            )
            losses.append(likelihood.loss(mu_d, sigma_d, target_d, joint) * weight[:, 0].masked_fill(others, 0))
        total = sum(losses[1:], losses[0]).view(persons, joints).sum(dim=1)
        terms = zip(self.term_names, losses, strict=False)
        return total, {name: term.detach().view(persons, joints).sum(dim=1) for name, term in terms}


def _with_floor(sigma: Tensor) -> Tensor:
    """Clamp sigma to SMALLEST_SIGMA, but pass the gradient on, so that a small sigma can grow again."""
    return sigma + (sigma.clamp(min=SMALLEST_SIGMA) - sigma).detach()
