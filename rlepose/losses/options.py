"""Options of losses and flows."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from rlepose.options import option, section

# --- flows ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FlowConfig:
    """The normalizing flow that learns how labels scatter around predictions."""

    name: str
    base: Literal["gaussian", "laplace"] = option(
        "gaussian",
        "density that the flow transforms, and with which it starts; loss=basic does not allow laplace. The paper's "
        "Gaussian learns heavy tails slowly; with laplace, dle starts as the loss laplace (docs/results.md has both)",
    )
    per_joint: bool = option(False, "one flow per joint instead of a shared one; costs K times as much")


@dataclass(frozen=True)
class NetworkFlowConfig(FlowConfig):
    """A flow whose transformations contain networks."""

    depth: int = option(6, "number of transformations", low=1)
    width: int = option(64, "hidden units of the transformations' networks", low=1)
    activation: Literal["leaky_relu", "relu", "silu", "tanh"] = option("leaky_relu", "of the hidden layers")


@dataclass(frozen=True)
class RealNVPConfig(NetworkFlowConfig):
    """Affine couplings, as in the paper."""

    name: Literal["realnvp"] = "realnvp"
    masks: tuple[tuple[int, ...], ...] | None = option(
        None, "per coupling, 0 for a coordinate that it changes, else 1; repeated up to the depth; null: alternating"
    )
    scale_bound: float = option(1.0, "a coupling scales a coordinate by at most e^scale_bound", above=0)
    init: Literal["small", "torch"] = option(
        "small",
        "initial weights of the networks. small: the flow is nearly its base at first; torch: torch's default for "
        "linear layers, as in the authors' code; the flow then starts with standard deviations of about 0.6 to 1.3 "
        "instead of 1",
    )


@dataclass(frozen=True)
class NSFConfig(NetworkFlowConfig):
    """Neural splines, from zuko."""

    name: Literal["nsf"] = "nsf"


@dataclass(frozen=True)
class MAFConfig(NetworkFlowConfig):
    """Affine autoregressive transformations, from zuko."""

    name: Literal["maf"] = "maf"


AnyFlow = RealNVPConfig | NSFConfig | MAFConfig

# --- losses ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LossConfig:
    """The training loss; docs/likelihood.md helps to choose."""

    # Whether the network must predict sigma.
    needs_sigma: ClassVar[bool] = True

    name: str
    hidden_weight: float = option(1.0, "weight of joints that are labelled but hidden (visibility 1)", low=0, high=1)
    outside_weight: float = option(
        0.0,
        "weight of labelled joints outside the crop (in 3-D, also of joints more than 1 m in front of or behind the "
        "root), relative to joints inside: 0 because the network cannot see them, 1 as in the authors' 2-D code",
        low=0,
        high=1,
    )
    joint_weights: dict[str, float] | None = option(
        None,
        "factors of joints by name, such as {left_wrist: 2, right_wrist: 2}; 1 for the others, and 0 as if the joint "
        "were unlabelled in training. They multiply a joint's loss and gradient and do not enter the divisor, which "
        "is still the number of persons (heatmap_mse: also of joints and pixels), so factors of mean 1 keep the loss's "
        "size",
        low=0,
    )
    category_weights: dict[str, float] | None = option(
        None,
        "coco: factors of categories by name, such as {horse: 2}, for all labels of their persons, beside those of "
        "joints; 1 for the others. The divisor is the number of all persons, as for joint_weights",
        low=0,
    )
    root_depth: bool = option(
        False,
        "h36m: whether the root's depth counts as a label, as in the authors' code. The depth is 0 by definition, so a "
        "likelihood drives its sigma to 0, and the gradient grows",
    )


@dataclass(frozen=True)
class L1Config(LossConfig):
    """Absolute distance, without sigma."""

    needs_sigma: ClassVar[bool] = False

    name: Literal["l1"] = "l1"


@dataclass(frozen=True)
class L2Config(LossConfig):
    """Squared distance, without sigma."""

    needs_sigma: ClassVar[bool] = False

    name: Literal["l2"] = "l2"


@dataclass(frozen=True)
class GaussianConfig(LossConfig):
    """Independent normal densities with a learned sigma."""

    name: Literal["gaussian"] = "gaussian"


@dataclass(frozen=True)
class LaplaceConfig(LossConfig):
    """Independent Laplace densities with a learned sigma."""

    name: Literal["laplace"] = "laplace"


@dataclass(frozen=True)
class FlowLossConfig(LossConfig):
    """A loss with a learned flow."""

    flow: AnyFlow = section(RealNVPConfig)


@dataclass(frozen=True)
class BasicConfig(FlowLossConfig):
    """The flow's density of the absolute position, for comparison."""

    name: Literal["basic"] = "basic"


@dataclass(frozen=True)
class DLEConfig(FlowLossConfig):
    """The flow's density of the residual."""

    name: Literal["dle"] = "dle"


@dataclass(frozen=True)
class RLEConfig(FlowLossConfig):
    """The flow's density of the residual times a simple density: residual log-likelihood estimation."""

    name: Literal["rle"] = "rle"
    form: Literal["original", "paper"] = option(
        "original", "original: the formula of the authors' code; paper: equation 8 of the paper with its normaliser"
    )
    q: Literal["laplace", "gaussian"] = option("laplace", "form=paper: the simple density")
    q_scale: float = option(1.0, "form=paper: scale of the simple density, in units of sigma", above=0)


@dataclass(frozen=True)
class HeatmapConfig:
    """Target heatmaps."""

    sigma: float = option(2.0, "standard deviation of the Gaussian around a joint, pixels of the heatmap", above=0)
    centers: Literal["rounded", "exact"] = option(
        "rounded",
        "position of the Gaussian: rounded to the nearest pixel as in SimplePose, or exact as in DARK and UDP",
    )


@dataclass(frozen=True)
class HeatmapMSEConfig(LossConfig):
    """Squared difference of heatmaps, for the heatmap head."""

    needs_sigma: ClassVar[bool] = False

    name: Literal["heatmap_mse"] = "heatmap_mse"
    heatmap: HeatmapConfig = section(HeatmapConfig)


AnyLoss = L1Config | L2Config | GaussianConfig | LaplaceConfig | BasicConfig | DLEConfig | RLEConfig | HeatmapMSEConfig
