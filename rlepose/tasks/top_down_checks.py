"""Checks of a top-down network before the first step."""

import torch
from torch import Tensor, nn

from rlepose.config.config import Config
from rlepose.datasets.crops import CropBatch
from rlepose.errors import InputError, first_line
from rlepose.losses import Criterion
from rlepose.models.pose_model import PoseModel
from rlepose.tasks.top_down_step import TopDownStep


@torch.no_grad()
def check_input_size(model: PoseModel, input_size_hw: tuple[int, int], device: torch.device) -> None:
    """Raise InputError if backbone or head do not support crops of this size; many transformers need a fixed size."""
    height, width = input_size_hw
    reduction = model.backbone.reductions[0]
    if model.head.has_heatmaps and (height % reduction or width % reduction):
        raise InputError(
            f"data.input_size_hw: heatmap pixels would not be evenly spaced in crops of {height}x{width}; use "
            f"multiples of {reduction}, the stride of the backbone"
        )
    was_training = model.training
    try:
        model.eval()(torch.zeros(1, 3, height, width, device=device))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"data.input_size_hw: the backbone does not support crops of {height}x{width} ({first_line(error)}); "
            "change the size, or build the backbone for it, often with "
            f"model.backbone.options={{img_size: [{height}, {width}]}}"
        ) from error
    model.train(was_training)


@torch.no_grad()
def check_statistics(model: PoseModel, input_size_hw: tuple[int, int], persons: int, divisor: int) -> None:
    """InputError where batch normalisation would get one value a channel, which has no spread.

    persons: of a step, over ranks and accumulated parts; divisor: the number of these.
    """
    if persons >= 2 * divisor:
        return
    single: list[nn.Module] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].numel() == inputs[0].shape[1]:
            single.append(module)

    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    height, width = input_size_hw
    was_training = model.training
    model.eval()(torch.zeros(1, 3, height, width, device=next(model.parameters()).device))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    if single:
        raise InputError(
            f"train.batch_size: {persons} persons, divided by ranks × train.accumulate = {divisor}, leave one at a "
            f"time, of whose crop of {height}x{width} batch normalisation sees one pixel in {len(single)} of "
            f"{len(norms)} layers, which has no spread; take 2 or more persons each, a larger data.input_size_hw, or "
            "a backbone without batch normalisation, such as convnext_atto"
        )


def check_gradients(config: Config, model: PoseModel, criterion: Criterion, joints: int, device: torch.device) -> None:
    """Raise InputError if a parameter gets no gradient: it would not be trained, and DDP would fail in the second step.

    Runs one backward pass of two black crops; in 3-D, the second has no depth labels. The model is in evaluation mode,
    so that batch statistics and random states do not change; the criterion has neither and is in training mode.
    """
    image = torch.zeros(2, 3, *config.data.input_size_hw, device=device)
    target = torch.zeros(2, joints, config.dims, device=device)
    weight = torch.ones_like(target)
    weight[1, :, 2:] = 0
    step, was_training = TopDownStep(model, criterion), model.training
    maps: list[Tensor] = []
    hook = model.backbone.register_forward_hook(lambda backbone, images, output: maps.extend(output))
    model.eval()
    loss = step(CropBatch.of_tensors(image, target, weight)).per_person.sum()
    for level in maps:
        if level.requires_grad:
            level.retain_grad()
    if loss.requires_grad:
        loss.backward()
    hook.remove()
    model.train(was_training)
    without = [
        name for name, parameter in step.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    step.zero_grad(set_to_none=True)
    if without:
        raise InputError(_why_without(config, without, [level.grad is not None for level in maps]))


def _why_without(config: Config, names: list[str], maps_read: list[bool]) -> str:
    """Return the message for parameters without a gradient: the option that leaves them unused, and the fix."""
    head, backbone = config.top_down.head.name, config.top_down.backbone.name
    of_head, of_backbone = (
        [name for name in names if name.startswith(f"model.{part}.")] for part in ("head", "backbone")
    )
    if of_head:
        return (
            f"model.head.name: {head} has {_counted(of_head)} without a gradient, which would not be trained; let the "
            "output depend on them, or remove them"
        )
    if of_backbone and not all(maps_read):
        first_alone = maps_read[0] and not any(maps_read[1:])
        read = "only the first" if first_alone else f"only {sum(maps_read)}" if any(maps_read) else "none"
        return (
            f"model.head.name: {head} reads {read} of the backbone's {len(maps_read)} maps, so {_counted(of_backbone)} "
            "would not be trained; drop other maps from out_indices in model.backbone.options, or use another head"
        )
    if of_backbone:
        return (
            f"model.backbone.name: {backbone} does not need {_counted(of_backbone)} for its maps, which would not be "
            "trained; drop these with model.backbone.options={feature_cls: getter}, which most networks of timm "
            "support, or use another backbone"
        )
    return (
        f"loss.name: {config.loss.name} leaves {_counted(names)} without a gradient, which would not be trained; let "
        "the loss depend on them, or remove them"
    )


def _counted(names: list[str]) -> str:
    return f"1 parameter ({names[0]})" if len(names) == 1 else f"{len(names)} parameters ({names[0]}, …)"
