"""From feature maps to a pose.

Every head pools or reads the backbone's maps, highest resolution first, and gives a PoseOutput. What decides a position
is computed in float32 also under autocast: bfloat16 would round mu to a third of a pixel at 192.
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
    """What makes a pose of a backbone's maps. `HEADS` maps the config's names to classes.

    Every head is made from the same arguments, and takes from them what it needs, and from its own options:

    channels, reductions: of each feature map; a reduction is the map's stride.
    num_keypoints:        K.
    dims:                 D, coordinates a joint.
    predict_sigma:        False for losses without a scale.

    has_heatmaps: whether the pixels of its maps have to lie evenly in the crop.
    """

    has_heatmaps: ClassVar[bool] = False

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives."""

    @abstractmethod
    def forward(self, maps: list[Tensor]) -> PoseOutput:
        """maps: list of (B, C_i, H_i, W_i) -> mu (B, K, D), and what else `outputs` names."""

    @staticmethod
    def needs_first_map_only(predict_sigma: bool) -> bool:
        """Whether it reads the map of highest resolution alone: the backbone may leave out what others need."""
        return False


class RegressionHead(Head):
    """Global average pooling, then one linear layer for mu and one for sigma.

    mu = W f / ‖f‖ + b and sigma = sigmoid(V f + c), with f the pooled features: what the authors' code computes.

    The pooled maps are concatenated. Other arguments: as Head's.

    normalize_features: divide f by its Euclidean norm before W.
    hidden:             widths of hidden layers (ReLU), whose last takes the place of f.
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


class HeatmapHead(Head):
    """Heatmaps whose maxima are the joints (Xiao et al., Simple Baselines, ECCV 2018), read from the first map.

    deconv_width, alignment: as HeatmapLayers'. refinement: how a maximum is read between pixels. Others: as Head's.
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
    """mu is the mean position under a heatmap's softmax (Sun et al., Integral Human Pose Regression, ECCV 2018).

    In 3-D a joint has `depth_bins` layers of heatmap, evenly spread over depths of ±0.5, and the softmax is over all.
    sigma comes from a linear layer on the pooled features of all maps, as the regression head's does. The heatmap reads
    the first map alone.

    Arguments: as Head's, RegressionHead's and HeatmapLayers'.
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
        """Means of x, y and depth under the softmax over a joint's layers: each by the sum over the other axes."""
        batch, _, height, width = heatmaps.values.shape
        layers = heatmaps.values.float().view(batch, -1, len(self.depths), height, width)
        plane = heatmaps._replace(values=layers.logsumexp(dim=2)).expectation()
        depth = layers.flatten(3).logsumexp(dim=3).softmax(dim=2) @ self.depths
        return torch.cat([plane, depth.unsqueeze(2)], dim=2)


HEADS: dict[str, type[Head]] = {"regression": RegressionHead, "heatmap": HeatmapHead, "integral": IntegralHead}


def build_head(config: HeadConfig, backbone: Backbone, num_keypoints: int, predict_sigma: bool, dims: int = 2) -> Head:
    """The head of a config, for this backbone's maps."""
    maps = (backbone.channels, backbone.reductions)
    return HEADS[config.name](*maps, num_keypoints, dims, predict_sigma, **own_options(config, HeadConfig))


def _start_in_the_middle(layer: nn.Linear | None) -> None:
    """Small weights, so that training starts from mu = 0 (the crop's middle) and sigma = 1/2 (by the sigmoid)."""
    if layer is not None:
        nn.init.xavier_uniform_(layer.weight, gain=0.01)
        nn.init.zeros_(layer.bias)


def _pooled(maps: list[Tensor], dtype: torch.dtype) -> Tensor:
    """The means over all pixels, side by side: (B, ΣC)."""
    return torch.cat([level.to(dtype).mean(dim=(2, 3)) for level in maps], dim=1)
