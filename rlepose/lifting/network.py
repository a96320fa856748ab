"""The network that lifts a 2-D pose to 3-D (Martinez et al., ICCV 2017), with a scale for each coordinate."""

import torch
from torch import Tensor, nn

from rlepose.lifting.poses import INPUTS, NUM_LIFTED
from rlepose.pose.codec import PoseOutput

# sigma = 0.047, 95 mm: near what it learns. One metre, as models/heads.py starts with, takes long to shrink.
_FIRST_SIGMA_LOGIT = -3.0


class _Block(nn.Module):
    """Two linear layers around which the input passes, too."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_layer(width, width, dropout), *_layer(width, width, dropout))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def _layer(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True), nn.Dropout(dropout)]


class LiftingNet(nn.Module):
    """Fully connected residual network from the joints on the plane to those in space.

    mean, std (34,): of the inputs, subtracted and divided by (lifting/poses.py says what the inputs are).
    width: hidden units. blocks: residual blocks of two layers. dropout: share of hidden units set to 0 in training.
    predict_sigma: False for losses without a scale.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Tensor,
        std: Tensor,
        width: int = 1024,
        blocks: int = 2,
        dropout: float = 0.1,
        predict_sigma: bool = True,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        trunk = [*_layer(INPUTS, width, dropout), *(_Block(width, dropout) for _ in range(blocks))]
        self.trunk = nn.Sequential(*trunk)
        self.coordinates = nn.Linear(width, NUM_LIFTED * 3)
        self.scales = nn.Linear(width, NUM_LIFTED * 3) if predict_sigma else None
        for layer in (self.coordinates, self.scales):
            if layer is not None:
                # Small weights, so that training starts from mu = 0 and the sigma of the bias.
                nn.init.xavier_uniform_(layer.weight, gain=0.01)
                nn.init.zeros_(layer.bias)
        if self.scales is not None:
            nn.init.constant_(self.scales.bias, _FIRST_SIGMA_LOGIT)

    def forward(self, inputs: Tensor) -> PoseOutput:
        """inputs (B, 34) -> mu, sigma (B, 16, 3) of all joints but the root, relative to it, in units of 2000 mm."""
        features = self.trunk((inputs - self.mean) / self.std)
        # In float32 also under autocast: bfloat16 would round a metre to 4 mm.
        with torch.autocast(inputs.device.type, enabled=False):
            features = features.to(self.coordinates.weight.dtype)
            mu = self.coordinates(features).view(-1, NUM_LIFTED, 3)
            sigma = None if self.scales is None else torch.sigmoid(self.scales(features)).view(-1, NUM_LIFTED, 3)
        return PoseOutput(mu, sigma)
