"""Losses without a learned scale: the distance to the label. As densities, they have sigma = 1, the size of a crop."""

from torch import Tensor

from rlepose.losses.likelihood import Gaussian, Laplace


class L1(Laplace):
    """Σ over coordinates of |mu − target|: the Laplace likelihood with a constant scale."""

    needs_sigma = False

    def loss(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        return (mu - target).abs().sum(dim=1)


class L2(Gaussian):
    """Σ over coordinates of (mu − target)² / 2: the normal likelihood with a constant standard deviation."""

    needs_sigma = False

    def loss(self, mu: Tensor, sigma: Tensor, target: Tensor, joint: Tensor) -> Tensor:
        return 0.5 * (mu - target).square().sum(dim=1)
