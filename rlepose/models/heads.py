"""Predict a pose from feature maps.

Every head pools or reads the backbone's maps, highest resolution first, and returns a PoseOutput. Operations that
decide a position run in float32 even under autocast: bfloat16 would round mu to a third of a pixel at 192.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from rlepose.models.backbones import Backbone
from rlepose.models.options import HeadConfig
from rlepose.options import own_options
from rlepose.pose.codec import PoseOutput, heatmap_output
from rlepose.pose.heatmaps import Alignment, Heatmaps, Refinement, pixel_positions

POSITIVE: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "softplus": nn.functional.softplus}


class Head(nn.Module, ABC):
    """Base class of heads. `HEADS` maps names in configs to classes.

    Every head is built from the same arguments and its own options, and uses the arguments it needs:

    channels, reductions: of each feature map; a reduction is the stride of a map.
    num_keypoints:        K.
    dims:                 D, coordinates per joint.
    predict_sigma:        False for losses without a scale.

    has_heatmaps: whether heatmap pixels must be evenly spaced in the crop.
    """

    has_heatmaps: ClassVar[bool] = False

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, among mu, sigma, score and heatmaps."""

    @abstractmethod
    def forward(self, maps: list[Tensor]) -> PoseOutput:
        """Map maps, a list of (B, C_i, H_i, W_i), to mu (B, K, D) and the other outputs."""

    @staticmethod
    def needs_first_map_only(predict_sigma: bool) -> bool:
        """Return whether the head only reads the map of highest resolution, so that the backbone may omit others."""
        return False


class RegressionHead(Head):
    """Global average pooling, then one linear layer for mu and one for sigma.

    mu = W f / ‖f‖ + b and sigma = sigmoid(V f + c), where f are the pooled features, as in the authors' code. Pooled
    features of several maps are concatenated. For the other arguments, see Head.

    normalize_features: divide f by its Euclidean norm before W.
    hidden:             widths of hidden layers (ReLU); the last one's output replaces f.
    sigma:              a key of POSITIVE.
    """

    def __init__(
        self,
        channels: Sequence[int],
        reductions: Sequence[int],
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
        widths = [sum(channels), *hidden]
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
        return ("mu",) if self.scales is None else ("mu", "sigma", "score")

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        with torch.autocast(maps[0].device.type, enabled=False):
            features = self.hidden(_pooled(maps, self.coordinates.weight.dtype))
            direction = nn.functional.normalize(features, dim=1) if self.normalize_features else features
            mu = self.coordinates(direction).view(-1, *self.shape)
            sigma = None if self.scales is None else self.positive(self.scales(features)).view(-1, *self.shape)
        return PoseOutput(mu, sigma)


class HeatmapLayers(nn.Module):
    """Map features to one heatmap per joint: 4×4 deconvolutions up to stride 4, then a 1×1 convolution (SimplePose).

    These are three deconvolutions after a ResNet, and none after HRNet's first branch.

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
        """Map features (B, C, H, W) to heatmaps (B, K, h, w)."""
        features = self.deconvolutions(features.to(self.last.weight.dtype))
        with torch.autocast(features.device.type, enabled=False):
            values = self.last(features.to(self.last.weight.dtype))
        height, width = values.shape[2:]
        x, y = (pixel_positions(n, self.stride, self.alignment, values.device) for n in (width, height))
        return Heatmaps(values, x, y, refinement)


class HeatmapHead(Head):
    """Heatmaps with the joints at their maxima (Xiao et al., Simple Baselines, ECCV 2018), from the first map.

    deconv_width, alignment: see HeatmapLayers. refinement: how to find a maximum between pixels. For others, see Head.
    """

    has_heatmaps = True
    outputs = ("mu", "score")

    def __init__(
        self,
        channels: Sequence[int],
        reductions: Sequence[int],
        num_keypoints: int,
        dims: int = 2,
        predict_sigma: bool = False,
        deconv_width: int = 256,
        alignment: Alignment = "classic",
        refinement: Refinement = "quarter",
    ) -> None:
        super().__init__()
        self.layers = HeatmapLayers(channels[0], reductions[0], num_keypoints, deconv_width, alignment)
        self.refinement: Refinement = refinement

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        return heatmap_output(self.layers(maps[0], self.refinement))

    @staticmethod
    def needs_first_map_only(predict_sigma: bool) -> bool:
        return True


class IntegralHead(Head):
    """Predict mu as the mean position under a heatmap's softmax (Sun et al., Integral Human Pose, ECCV 2018).

    In 3-D, a joint has `depth_bins` heatmap layers, evenly spaced over depths of ±0.5, and the softmax is over all of
    them. sigma comes from a linear layer on the pooled features of all maps, as in the regression head. The heatmap is
    computed from the first map only.

    For the arguments, see Head, RegressionHead and HeatmapLayers.
    """

    has_heatmaps = True
    depths: Tensor

    def __init__(
        self,
        channels: Sequence[int],
        reductions: Sequence[int],
        num_keypoints: int,
        dims: int = 2,
        predict_sigma: bool = True,
        deconv_width: int = 256,
        alignment: Alignment = "classic",
        sigma: str = "sigmoid",
        depth_bins: int = 64,
    ) -> None:
        super().__init__()
        bins = depth_bins if dims == 3 else 1
        self.register_buffer("depths", (torch.arange(bins) + 0.5) / bins - 0.5, persistent=False)
        self.layers = HeatmapLayers(channels[0], reductions[0], num_keypoints * bins, deconv_width, alignment)
        self.scales = nn.Linear(sum(channels), num_keypoints * dims) if predict_sigma else None
        _start_in_the_middle(self.scales)
        self.positive = POSITIVE[sigma]

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("mu",) if self.scales is None else ("mu", "sigma", "score")

    def forward(self, maps: list[Tensor]) -> PoseOutput:
        heatmaps = self.layers(maps[0])
        with torch.autocast(maps[0].device.type, enabled=False):
            mu = heatmaps.expectation() if len(self.depths) == 1 else self._mean_in_space(heatmaps)
            sigma = None
            if self.scales is not None:
                sigma = self.positive(self.scales(_pooled(maps, self.scales.weight.dtype))).view(mu.shape)
        return PoseOutput(mu, sigma)

    @staticmethod
    def needs_first_map_only(predict_sigma: bool) -> bool:
        return not predict_sigma

    def _mean_in_space(self, heatmaps: Heatmaps) -> Tensor:
        """Return means of x, y and depth under the softmax over a joint's layers, one axis at a time."""
        batch, _, height, width = heatmaps.values.shape
        layers = heatmaps.values.float().view(batch, -1, len(self.depths), height, width)
        plane = heatmaps._replace(values=layers.logsumexp(dim=2)).expectation()
        depth = layers.flatten(3).logsumexp(dim=3).softmax(dim=2) @ self.depths
        return torch.cat([plane, depth.unsqueeze(2)], dim=2)


HEADS: dict[str, type[Head]] = {"regression": RegressionHead, "heatmap": HeatmapHead, "integral": IntegralHead}


def build_head(config: HeadConfig, backbone: Backbone, num_keypoints: int, predict_sigma: bool, dims: int = 2) -> Head:
    """Return the head of a config for the maps of a backbone."""
    maps = (backbone.channels, backbone.reductions)
    return HEADS[config.name](*maps, num_keypoints, dims, predict_sigma, **own_options(config, HeadConfig))


def _start_in_the_middle(layer: nn.Linear | None) -> None:
    """Use small weights, so that training starts with mu = 0 (the crop's centre) and sigma = 1/2 (with sigmoid)."""
    if layer is not None:
        nn.init.xavier_uniform_(layer.weight, gain=0.01)
        nn.init.zeros_(layer.bias)


def _pooled(maps: list[Tensor], dtype: torch.dtype) -> Tensor:
    """Return the means over all pixels, concatenated: (B, ΣC)."""
    return torch.cat([level.to(dtype).mean(dim=(2, 3)) for level in maps], dim=1)
