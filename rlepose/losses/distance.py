"""Losses that measure how far the prediction is, without a scale."""

from torch import Tensor, nn

from rlepose.codec import PoseOutput


class L1(nn.Module):
    """Mean over the batch of Σ over joints and coordinates of |mu − target|.

    The likelihood of a Laplace density with constant scale. A joint without label does not enter, whatever its target.
    """

    needs_sigma = False

    def forward(self, output: PoseOutput, target: Tensor, weight: Tensor) -> Tensor:
        """output.mu, target, weight (B, K, D) -> scalar."""
        labelled = weight > 0
        error = (output.mu[labelled] - target[labelled]).abs()
        return (error * weight[labelled]).sum() / len(target)
