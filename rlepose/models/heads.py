"""From feature maps to a pose."""

import torch
from torch import Tensor, nn

from rlepose.codec import PoseOutput


class RegressionHead(nn.Module):
    """Global average pooling, then one linear layer for mu and one for sigma.

    mu = W f / ‖f‖ + b and sigma = sigmoid(V f + c), with f the pooled features: what the authors' code computes.

    in_channels:        channels of all feature maps together; the pooled maps are concatenated.
    num_keypoints:      K.
    dims:               D, coordinates a joint.
    predict_sigma:      False for losses without a scale.
    normalize_features: divide f by its Euclidean norm before W.
    """

    def __init__(
        self,
        in_channels: int,
        num_keypoints: int,
        dims: int = 2,
        predict_sigma: bool = True,
        normalize_features: bool = True,
    ) -> None:
        super().__init__()
        self.shape = (num_keypoints, dims)
        self.normalize_features = normalize_features
        self.coordinates = nn.Linear(in_channels, num_keypoints * dims)
        self.scales = nn.Linear(in_channels, num_keypoints * dims) if predict_sigma else None
        for layer in (self.coordinates, self.scales):
            if layer is not None:
                # Small weights, so that training starts from mu = 0 (the crop's middle) and sigma = 1/2.
                nn.init.xavier_uniform_(layer.weight, gain=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        """maps: list of (B, C_i, H_i, W_i) -> mu, sigma (B, K, D)."""
        # In float32 also under autocast: bfloat16 would round mu to a third of a pixel at 192.
        with torch.autocast(maps[0].device.type, enabled=False):
            features = torch.cat([level.to(self.coordinates.weight.dtype).mean(dim=(2, 3)) for level in maps], dim=1)
            direction = nn.functional.normalize(features, dim=1) if self.normalize_features else features
            mu = self.coordinates(direction).view(-1, *self.shape)
            sigma = None if self.scales is None else torch.sigmoid(self.scales(features)).view(-1, *self.shape)
        return PoseOutput(mu, sigma)
