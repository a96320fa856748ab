"""From feature maps to a pose.

Every head pools or reads the backbone's maps, highest resolution first, and gives a PoseOutput. What decides a position
is computed in float32 also under autocast: bfloat16 would round mu to a third of a pixel at 192.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from rlepose.codec import PoseOutput, heatmap_output
from rlepose.config import HeadConfig
from rlepose.heatmaps import Alignment, Heatmaps, Refinement, pixel_positions
from rlepose.models.backbones import Backbone

POSITIVE: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "softplus": nn.functional.softplus}


class RegressionHead(nn.Module):
    """Global average pooling, then one linear layer for mu and one for sigma.

    mu = W f / ‖f‖ + b and sigma = sigmoid(V f + c), with f the pooled features: what the authors' code computes.

    in_channels:        channels of all feature maps together; the pooled maps are concatenated.
    num_keypoints:      K.
    dims:               D, coordinates a joint.
    predict_sigma:      False for losses without a scale.
    normalize_features: divide f by its Euclidean norm before W.
    hidden:             widths of hidden layers (ReLU), whose last takes the place of f.
    sigma:              a key of POSITIVE.
    """

    def __init__(
        self,
        in_channels: int,
        num_keypoints: int,
        dims: int = 2,
        predict_sigma: bool = True,
        normalize_features: bool = True,
        hidden: Sequence[int] = (),
        sigma: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.shape = (num_keypoints, dims)
        self.normalize_features = normalize_features
        widths = [in_channels, *hidden]
        self.hidden = nn.Sequential()
        for before, after in itertools.pairwise(widths):
            self.hidden.extend([nn.Linear(before, after), nn.ReLU()])
        self.coordinates = nn.Linear(widths[-1], num_keypoints * dims)
        self.scales = nn.Linear(widths[-1], num_keypoints * dims) if predict_sigma else None
        for layer in (self.coordinates, self.scales):
            _start_in_the_middle(layer)
        self.positive = POSITIVE[sigma]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives."""
        return ("mu",) if self.scales is None else ("mu", "sigma", "score")

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        """maps: list of (B, C_i, H_i, W_i) -> mu, sigma (B, K, D)."""
        with torch.autocast(maps[0].device.type, enabled=False):
            features = self.hidden(_pooled(maps, self.coordinates.weight.dtype))
            direction = nn.functional.normalize(features, dim=1) if self.normalize_features else features
            mu = self.coordinates(direction).view(-1, *self.shape)
            sigma = None if self.scales is None else self.positive(self.scales(features)).view(-1, *self.shape)
        return PoseOutput(mu, sigma)


class HeatmapLayers(nn.Module):
    """A feature map to a heatmap a joint: 4×4 deconvolutions up to stride 4, then a 1×1 convolution (SimplePose).

    That is three deconvolutions behind a ResNet, and none behind HRNet's first branch.

    in_channels, reduction: of the feature map; reduction is its stride.
    width: channels of the deconvolutions.
    """

    def __init__(self, in_channels: int, reduction: int, num_keypoints: int, width: int, alignment: Alignment) -> None:
        super().__init__()
        stages = max(0, round(math.log2(reduction / 4)))
        self.stride = reduction / 2**stages
        self.alignment = alignment
        self.deconvolutions = nn.Sequential()
        for _ in range(stages):
            deconvolution = nn.ConvTranspose2d(in_channels, width, 4, stride=2, padding=1, bias=False)
            nn.init.normal_(deconvolution.weight, std=0.001)
            self.deconvolutions.extend([deconvolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)])
            in_channels = width
        self.last = nn.Conv2d(in_channels, num_keypoints, 1)
        nn.init.normal_(self.last.weight, std=0.001)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Tensor, refinement: Refinement = "quarter") -> Heatmaps:
        """(B, C, H, W) -> heatmaps (B, K, h, w)."""
        features = self.deconvolutions(features.to(self.last.weight.dtype))
        with torch.autocast(features.device.type, enabled=False):
            values = self.last(features.to(self.last.weight.dtype))
        height, width = values.shape[2:]
        x, y = (pixel_positions(n, self.stride, self.alignment, values.device) for n in (width, height))
        return Heatmaps(values, x, y, refinement)


class HeatmapHead(nn.Module):
    """Heatmaps whose maxima are the joints (Xiao et al., Simple Baselines, ECCV 2018). Arguments: as HeatmapLayers'.

    refinement: how a maximum is read between pixels.
    """

    outputs = ("mu", "score")

    def __init__(
        self,
        in_channels: int,
        reduction: int,
        num_keypoints: int,
        width: int = 256,
        alignment: Alignment = "classic",
        refinement: Refinement = "quarter",
    ) -> None:
        super().__init__()
        self.layers = HeatmapLayers(in_channels, reduction, num_keypoints, width, alignment)
        self.refinement: Refinement = refinement

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        """maps: list of (B, C_i, H_i, W_i), of which it reads the first -> mu, score, heatmaps."""
        return heatmap_output(self.layers(maps[0], self.refinement))


class IntegralHead(nn.Module):
    """mu is the mean position under a heatmap's softmax (Sun et al., Integral Human Pose Regression, ECCV 2018).

    In 3-D a joint has `depth_bins` layers of heatmap, evenly spread over depths of ±0.5, and the softmax is over all.
    sigma comes from a linear layer on the pooled features of all maps, as the regression head's does. The heatmap reads
    the first map alone.

    channels: of each feature map. Other arguments: as RegressionHead's and HeatmapLayers'.
    """

    depths: Tensor

    def __init__(
        self,
        channels: Sequence[int],
        reduction: int,
        num_keypoints: int,
        predict_sigma: bool = True,
        width: int = 256,
        alignment: Alignment = "classic",
        sigma: str = "sigmoid",
        dims: int = 2,
        depth_bins: int = 64,
    ) -> None:
        super().__init__()
        bins = depth_bins if dims == 3 else 1
        self.register_buffer("depths", (torch.arange(bins) + 0.5) / bins - 0.5, persistent=False)
        self.layers = HeatmapLayers(channels[0], reduction, num_keypoints * bins, width, alignment)
        self.scales = nn.Linear(sum(channels), num_keypoints * dims) if predict_sigma else None
        _start_in_the_middle(self.scales)
        self.positive = POSITIVE[sigma]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives."""
        return ("mu",) if self.scales is None else ("mu", "sigma", "score")

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        """maps: list of (B, C_i, H_i, W_i) -> mu, sigma (B, K, D)."""
        heatmaps = self.layers(maps[0])
        with torch.autocast(maps[0].device.type, enabled=False):
            mu = heatmaps.expectation() if len(self.depths) == 1 else self._mean_in_space(heatmaps)
            sigma = None
            if self.scales is not None:
                sigma = self.positive(self.scales(_pooled(maps, self.scales.weight.dtype))).view(mu.shape)
        return PoseOutput(mu, sigma)

    def _mean_in_space(self, heatmaps: Heatmaps) -> Tensor:
        """Means of x, y and depth under the softmax over a joint's layers: each by the sum over the other axes."""
        batch, _, height, width = heatmaps.values.shape
        layers = heatmaps.values.float().view(batch, -1, len(self.depths), height, width)
        plane = heatmaps._replace(values=layers.logsumexp(dim=2)).expectation()
        depth = layers.flatten(3).logsumexp(dim=3).softmax(dim=2) @ self.depths
        return torch.cat([plane, depth.unsqueeze(2)], dim=2)


Head = RegressionHead | HeatmapHead | IntegralHead


def build_head(config: HeadConfig, backbone: Backbone, num_keypoints: int, predict_sigma: bool, dims: int = 2) -> Head:
    """The head of a config, for this backbone's maps."""
    channels, reduction = backbone.channels, backbone.reductions[0]
    if config.name == "heatmap":
        return HeatmapHead(
            channels[0], reduction, num_keypoints, config.deconv_width, config.alignment, config.refinement
        )
    if config.name == "integral":
        return IntegralHead(
            channels,
            reduction,
            num_keypoints,
            predict_sigma,
            config.deconv_width,
            config.alignment,
            config.sigma,
            dims,
            config.depth_bins,
        )
    return RegressionHead(
        sum(channels),
        num_keypoints,
        dims,
        predict_sigma=predict_sigma,
        normalize_features=config.normalize_features,
        hidden=config.hidden,
        sigma=config.sigma,
    )


def needs_first_map_only(config: HeadConfig, predict_sigma: bool) -> bool:
    """Whether a head reads the map of highest resolution alone, and the backbone may leave out what others need."""
    return config.name == "heatmap" or (config.name == "integral" and not predict_sigma)


def _start_in_the_middle(layer: nn.Linear | None) -> None:
    """Small weights, so that training starts from mu = 0 (the crop's middle) and sigma = 1/2 (by the sigmoid)."""
    if layer is not None:
        nn.init.xavier_uniform_(layer.weight, gain=0.01)
        nn.init.zeros_(layer.bias)


def _pooled(maps: list[Tensor], dtype: torch.dtype) -> Tensor:
    """The means over all pixels, side by side: (B, ΣC)."""
    return torch.cat([level.to(dtype).mean(dim=(2, 3)) for level in maps], dim=1)
