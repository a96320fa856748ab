"""The network for training, export and deployment. It contains no flow."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlepose.config.config import Config
from rlepose.models.backbones import Backbone, init_backbone
from rlepose.models.heads import HEADS, Head, build_head
from rlepose.models.options import TopDownModelConfig
from rlepose.pose.codec import PoseOutput


class PoseModel(nn.Module):
    """Normalisation, backbone, head.

    forward: image (B, 3, H, W) RGB in 0 … 255, uint8 or float -> PoseOutput.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, backbone: Backbone, head: Head, pixel_mean: Sequence[float], pixel_std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(3, 1, 1) * 255, persistent=False)
        self.backbone = backbone
        self.head = head

    def forward(self, image: Tensor) -> PoseOutput:
        return self.head(self.backbone((image - self.pixel_mean) / self.pixel_std))


def build_model(
    config: TopDownModelConfig, num_keypoints: int, predict_sigma: bool, pretrained: bool = True, dims: int = 2
) -> PoseModel:
    """Return the model of a config. pretrained: False if a checkpoint will fill the weights."""
    options, fill = config.backbone, pretrained and config.init_from is not None
    backbone = Backbone(
        options.name,
        options.pretrained and pretrained and not fill,
        options.weights,
        options.options,
        HEADS[config.head.name].needs_first_map_only(predict_sigma),
    )
    if fill:
        init_backbone(backbone, config)
    head = build_head(config.head, backbone, num_keypoints, predict_sigma, dims)
    assert config.pixel_mean is not None and config.pixel_std is not None
    return PoseModel(backbone, head, config.pixel_mean, config.pixel_std)


def network_of(config: Config, joints: int, pretrained: bool) -> PoseModel:
    """Return the model of a whole config, with sigma if the loss needs it and with the data's dimensions."""
    return build_model(config.top_down, joints, config.loss.needs_sigma, pretrained, config.dims)
