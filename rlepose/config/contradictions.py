"""What is wrong with a config that no option shows alone."""

from collections.abc import Iterator
from pathlib import Path

from rlepose.config.config import Config
from rlepose.config.lifting_contradictions import lifting_contradictions
from rlepose.config.support import refusal
from rlepose.datasets.options import DataConfig
from rlepose.losses.options import BasicConfig, FlowConfig, FlowLossConfig, RealNVPConfig, RLEConfig
from rlepose.models.options import IntegralHeadConfig, TopDownModelConfig
from rlepose.training.options import StepConfig, TrainConfig


def contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """Each contradiction between options: (dotted name, what is wrong and how to fix it)."""
    train, schedule = config.train, config.train.schedule
    if isinstance(schedule, StepConfig):
        if list(schedule.milestones) != sorted(set(schedule.milestones)):
            yield "train.schedule.milestones", f"expected growing epochs, got {list(schedule.milestones)}"
        if schedule.milestones and schedule.milestones[-1] >= train.epochs:
            yield (
                "train.schedule.milestones",
                f"a step at epoch {schedule.milestones[-1]:g} is never reached in {train.epochs} epochs; "
                "lower it, raise train.epochs, or set train.schedule.milestones=[]",
            )
    if schedule.warmup_epochs >= train.epochs:
        yield (
            "train.schedule.warmup_epochs",
            f"a warm-up of {schedule.warmup_epochs:g} epochs does not end within train.epochs={train.epochs}",
        )
    if train.batch_size % train.accumulate:
        yield "train.batch_size", f"{train.batch_size} does not divide into train.accumulate={train.accumulate} parts"
    if config.system.compile == "reduce-overhead" and train.accumulate > 1:
        yield (
            "system.compile",
            "reduce-overhead keeps gradients in memory that the next part overwrites, so it cannot do train.accumulate="
            f"{train.accumulate}; set train.accumulate=1 or system.compile=default",
        )
    keypoints, sigmas = config.data.num_keypoints, config.data.oks_sigmas
    if keypoints is not None and sigmas is not None and len(sigmas) != keypoints:
        yield "data.oks_sigmas", f"expected {keypoints} values (data.num_keypoints), got {len(sigmas)}"
    loss = config.loss
    simple = RLEConfig.q, RLEConfig.q_scale
    if isinstance(loss, RLEConfig) and loss.form == "original" and (loss.q, loss.q_scale) != simple:
        yield "loss.q", "q and q_scale belong to rle's paper form; set loss.form=paper, or leave them out"
    if isinstance(loss, BasicConfig) and loss.flow.base != FlowConfig.base:
        yield "loss.flow.base", "in the loss basic the flow transforms the network's Gaussian; leave it out"
    if loss.name == "heatmap_mse" and loss.outside_weight:
        yield "loss.outside_weight", "heatmaps end at the crop's border, so joints outside it have none; set it to 0"
    if train.clip_grad_norm is None and train.clip_grad_by != TrainConfig.clip_grad_by:
        yield "train.clip_grad_by", "needs a limit in train.clip_grad_norm; set one, or leave it out"
    reference = config.eval.nme_reference
    if isinstance(reference, tuple) and reference[0] == reference[1]:
        yield "eval.nme_reference", f"the distance between {reference[0]} and itself is 0; name two joints"
    head = config.model.head.name if isinstance(config.model, TopDownModelConfig) else None
    wrong = refusal(config.task, head, loss.name, config.dims)
    if wrong is not None:
        yield wrong
    if isinstance(config.model, TopDownModelConfig):
        yield from _of_network(config.model)
        yield from _of_dimensions(config, config.model)
    else:
        yield from lifting_contradictions(config)
    if config.name in ("", "..") or Path(config.name).name != config.name:
        yield "name", f"expected the name of a folder, without '/', got {config.name!r}"


def _of_network(model: TopDownModelConfig) -> Iterator[tuple[str, str]]:
    backbone = model.backbone
    if backbone.weights is not None and not backbone.pretrained:
        yield "model.backbone.weights", "a file is given but model.backbone.pretrained is false; set it to true"
    if backbone.weights is not None and model.init_from is not None:
        yield "model.init_from", "model.backbone.weights is given too, and both fill the backbone; leave one out"


def _of_dimensions(config: Config, model: TopDownModelConfig) -> Iterator[tuple[str, str]]:
    data, loss, head, train = config.data, config.loss, model.head, config.train
    if (data.extra_annotations is None) != (data.extra_images is None):
        missing = "extra_images" if data.extra_images is None else "extra_annotations"
        yield f"data.{missing}", "is missing; extra persons need data.extra_annotations and data.extra_images"
    if data.extra_annotations is not None and train.batch_size % 2:
        yield "train.batch_size", f"{train.batch_size} has no half for the persons of data.extra_annotations"
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
                    f"belongs to 3-D data, but data.format is {data.format}; set data.format=h36m, or leave it out",
                )
        return
    for option_name in ("group_key", "category", "oks_sigmas", "flip_pairs", "detections", "detection_boxes"):
        if getattr(data, option_name) != getattr(DataConfig, option_name):
            yield f"data.{option_name}", f"data.format={data.format} does not have it; leave it out"
    if config.eval.nme_reference is not None:
        yield "eval.nme_reference", "NME is of positions in the picture, and MPJPE of those in space; leave it out"
    flow = loss.flow if isinstance(loss, FlowLossConfig) else None
    if isinstance(flow, RealNVPConfig) and flow.masks is not None:
        yield "loss.flow.masks", "cannot fit both the flow in 3-D and that in 2-D; set it to null"
