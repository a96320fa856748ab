"""The loss of heatmaps."""

from torch import Tensor

from rlepose.losses.criterion import Criterion
from rlepose.losses.distance import L2
from rlepose.pose.codec import PoseOutput


class HeatmapMSE(Criterion):
    """Half the squared difference to a Gaussian around each label, as in SimplePose (Xiao et al., ECCV 2018).

    The mean over joints and pixels of weight × (heatmap − Gaussian)² / 2. To the rest of the code this loss is like
    `L2`: positions with a constant scale.

    sigma, rounded: shape of the Gaussians; see `Heatmaps.gaussians`.

    Example:
        >>> import torch
        >>> from rlepose.pose.heatmaps import Heatmaps
        >>> x, y = torch.linspace(-0.5, 0.5, 48), torch.linspace(-0.5, 0.5, 64)
        >>> output = PoseOutput(torch.zeros(4, 17, 2), None, heatmaps=Heatmaps(torch.zeros(4, 17, 64, 48), x, y))
        >>> HeatmapMSE()(output, target=torch.zeros(4, 17, 2), weight=torch.ones(4, 17, 2)).shape
        torch.Size([4])
    """

    needs_sigma = L2.needs_sigma
    about_sigma = L2.about_sigma

    def __init__(self, sigma: float = 2.0, rounded: bool = True) -> None:
        super().__init__([L2(2)])
        self.sigma = sigma
        self.rounded = rounded

    def losses(self, output: PoseOutput, target: Tensor, weight: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of each person, (B,), and no terms, for output.heatmaps, target and weight (B, K, 2)."""
        if output.heatmaps is None:
            raise ValueError("heatmap_mse needs heatmaps; build the model with model.head.name=heatmap")
        labelled = (weight > 0).all(dim=2, keepdim=True)
        # Targets of unlabelled joints may be NaN, which a weight of 0 does not remove.
        wanted = output.heatmaps.gaussians(target.masked_fill(~labelled, 0), self.sigma, self.rounded)
        error = (output.heatmaps.values - wanted).square().mean(dim=(2, 3))
        return 0.5 * (error * weight[..., 0].masked_fill(~labelled[..., 0], 0)).mean(dim=1), {}
