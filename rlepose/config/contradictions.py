"""Find contradictions between the options of a config."""

from collections.abc import Iterator
from pathlib import Path

from rlepose.config.config import Config
from rlepose.config.lifting_contradictions import lifting_contradictions
from rlepose.config.support import refusal
from rlepose.datasets.options import DataConfig
from rlepose.losses.options import BasicConfig, FlowConfig, FlowLossConfig, RealNVPConfig, RLEConfig
from rlepose.models.options import IntegralHeadConfig, LiftingModelConfig, TopDownModelConfig
from rlepose.training.options import StepConfig, TrainConfig

# Options of `data` that only data.format=coco uses.
_COCO_OPTIONS = (
    "train_weights",
    "group_key",
    "category",
    "oks_sigmas",
    "flip_pairs",
    "missing_boxes",
    "exif",
    "bit_depth",
    "detections",
    "detection_boxes",
)


def contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each contradiction between options: (dotted name, problem and fix)."""
    train, schedule = config.train, config.train.schedule
    if isinstance(schedule, StepConfig):
        if list(schedule.milestones) != sorted(set(schedule.milestones)):
            yield "train.schedule.milestones", f"expected increasing epochs, got {list(schedule.milestones)}"
        if schedule.milestones and schedule.milestones[-1] >= train.epochs:
            yield (
                "train.schedule.milestones",
                f"no step is taken at epoch {schedule.milestones[-1]:g}, since training has {train.epochs} epochs; "
                "lower the milestone, raise train.epochs, or set train.schedule.milestones=[]",
            )
    if schedule.warmup_epochs >= train.epochs:
        yield (
            "train.schedule.warmup_epochs",
            f"{schedule.warmup_epochs:g} epochs of warm-up do not end within train.epochs={train.epochs}; lower one",
        )
    if train.batch_size % train.accumulate:
        yield (
            "train.batch_size",
            f"{train.batch_size} is not divisible by train.accumulate={train.accumulate}; change one of them",
        )
    if config.system.compile == "reduce-overhead" and train.accumulate > 1:
        yield (
            "system.compile",
            "reduce-overhead overwrites gradients of the previous part in memory, so it cannot be used with "
            f"train.accumulate={train.accumulate}; set train.accumulate=1 or system.compile=default",
        )
    keypoints, sigmas = config.data.num_keypoints, config.data.oks_sigmas
    if keypoints is not None and sigmas is not None and len(sigmas) != keypoints:
        yield "data.oks_sigmas", f"expected {keypoints} values (data.num_keypoints), got {len(sigmas)}"
    loss = config.loss
    simple = RLEConfig.q, RLEConfig.q_scale
    if isinstance(loss, RLEConfig) and loss.form == "original" and (loss.q, loss.q_scale) != simple:
        yield "loss.q", "q and q_scale are only for loss.form=paper; set that, or remove them"
    if isinstance(loss, BasicConfig) and loss.flow.base != FlowConfig.base:
        yield "loss.flow.base", "with loss.name=basic, the base is the network's Gaussian; remove this option"
    if loss.name == "heatmap_mse" and loss.outside_weight:
        yield "loss.outside_weight", "heatmaps end at the crop's border, so joints outside have no target; set it to 0"
    if train.clip_grad_norm is None and train.clip_grad_by != TrainConfig.clip_grad_by:
        yield "train.clip_grad_by", "has no effect without train.clip_grad_norm; set that, or remove this option"
    reference = config.eval.nme_reference
    if isinstance(reference, tuple) and reference[0] == reference[1]:
        yield "eval.nme_reference", f"the distance between {reference[0]} and itself is 0; name two different joints"
    head = config.model.head.name if isinstance(config.model, TopDownModelConfig) else None
    wrong = refusal(config.task, head, loss.name, config.dims)
    if wrong is not None:
        yield wrong
    if isinstance(config.model, TopDownModelConfig):
        yield from _of_network(config.model)
        yield from _of_dimensions(config, config.model)
    elif isinstance(config.model, LiftingModelConfig):
        yield from lifting_contradictions(config)
    if config.name in ("", "..") or Path(config.name).name != config.name:
        yield "name", f"expected a folder name without '/', got {config.name!r}"


def _of_network(model: TopDownModelConfig) -> Iterator[tuple[str, str]]:
    backbone = model.backbone
    if backbone.weights is not None and not backbone.pretrained:
        yield "model.backbone.weights", "has no effect with model.backbone.pretrained=false; set that to true"
    if backbone.weights is not None and model.init_from is not None:
        yield "model.init_from", "model.backbone.weights is also set, and both fill the backbone; remove one of them"


def _of_training_files(data: DataConfig, dims: int) -> Iterator[tuple[str, str]]:
    if isinstance(data.train_annotations, str):
        files = 1
        if not isinstance(data.train_images, str):
            yield "data.train_images", "is a list, but data.train_annotations is one file; give one folder"
    else:
        files = len(data.train_annotations)
        if not files:
            yield "data.train_annotations", "is an empty list; give at least one file"
        elif dims == 3:
            yield "data.train_annotations", f"is a list, which data.format={data.format} does not read; give one file"
        elif not isinstance(data.train_images, str) and len(data.train_images) != files:
            yield (
                "data.train_images",
                f"has {len(data.train_images)} folders for {files} files in data.train_annotations; give one folder "
                "for all, or one for each",
            )
    if data.train_weights is not None and len(data.train_weights) != files:
        yield (
            "data.train_weights",
            f"has {len(data.train_weights)} numbers for {files} training files; give one for each",
        )


def _of_dimensions(config: Config, model: TopDownModelConfig) -> Iterator[tuple[str, str]]:
    data, loss, head, train = config.data, config.loss, model.head, config.train
    if (data.extra_annotations is None) != (data.extra_images is None):
        missing = "extra_images" if data.extra_images is None else "extra_annotations"
        yield f"data.{missing}", "is missing; set both data.extra_annotations and data.extra_images"
    if data.extra_annotations is not None and train.batch_size % 2:
        yield (
            "train.batch_size",
            f"{train.batch_size} is odd, but half of each batch comes from data.extra_annotations; set an even number",
        )
    yield from _of_training_files(data, config.dims)
    if config.dims == 2:
        for given, name in (
            (data.extra_annotations is not None, "data.extra_annotations"),
            (loss.root_depth, "loss.root_depth"),
            (data.extra_box_scale is not None, "data.extra_box_scale"),
            (
                isinstance(head, IntegralHeadConfig) and head.depth_bins != IntegralHeadConfig.depth_bins,
                "model.head.depth_bins",
            ),
        ):
            if given:
                yield (
                    name,
                    f"is for 3-D data, but data.format={data.format}; set data.format=h36m, or remove this option",
                )
        return
    for option_name in _COCO_OPTIONS:
        if getattr(data, option_name) != getattr(DataConfig, option_name):
            yield f"data.{option_name}", f"is not used with data.format={data.format}; remove it"
    if loss.category_weights:
        yield "loss.category_weights", f"is not used with data.format={data.format}, which has one category; remove it"
    if config.eval.nme_reference is not None:
        yield "eval.nme_reference", "NME is for 2-D, and 3-D data are evaluated by MPJPE; remove this option"
    flow = loss.flow if isinstance(loss, FlowLossConfig) else None
    if isinstance(flow, RealNVPConfig) and flow.masks is not None:
        yield "loss.flow.masks", "cannot fit both the 3-D flow and the 2-D flow; set it to null"
