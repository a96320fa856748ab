"""The loss of heatmaps."""

from torch import Tensor

from rlepose.losses.criterion import Criterion
from rlepose.losses.distance import L2
from rlepose.pose.codec import PoseOutput


class HeatmapMSE(Criterion):
    """Half the squared difference to a Gaussian around each label, as SimplePose has it (Xiao et al., ECCV 2018).

    The mean over joints and pixels of weight × (heatmap − Gaussian)² / 2. Everything else takes it for `L2`: positions
    with a constant scale.

    sigma, rounded: of the Gaussians, as in `Heatmaps.gaussians`.
    """

    needs_sigma = L2.needs_sigma
    about_sigma = L2.about_sigma

    def __init__(self, sigma: float = 2.0, rounded: bool = True) -> None:
        super().__init__([L2(2)])
        self.sigma = sigma
        self.rounded = rounded

    def losses(self, output: PoseOutput, target: Tensor, weight: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """output.heatmaps, target and weight (B, K, 2) -> (B,), and no terms."""
        if output.heatmaps is None:
            raise ValueError("heatmap_mse needs heatmaps; build the model with model.head.name=heatmap")
        labelled = (weight > 0).all(dim=2, keepdim=True)
        # What an unlabelled joint holds may be NaN, which no weight of 0 removes.
        wanted = output.heatmaps.gaussians(target.masked_fill(~labelled, 0), self.sigma, self.rounded)
        error = (output.heatmaps.values - wanted).square().mean(dim=(2, 3))
        return 0.5 * (error * weight[..., 0].masked_fill(~labelled[..., 0], 0)).mean(dim=1), {}
