"""Convert state dicts of other projects' RLE models to this project's names and units.

Both layouts have torchvision's ResNet (conv1, bn1, layer1 …, also timm's names), and a RealNVP whose couplings are in
reverse order. docs/convert.md compares their conventions with this project's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlepose.errors import InputError

State = Mapping[str, Tensor]

# Number of blocks per stage, and whether they are bottlenecks.
_RESNETS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}
_MMPOSE_HEADS = ("head.", "keypoint_head.")  # since version 1.0, and before
# By number of dimensions: crop size relative to the box, and normalisation of RGB pixels.
_COCO_CROPS = {
    "format": "coco",
    "input_size_hw": [256, 192],
    "box_scale": 1.25,
    "detection_boxes": "unchanged",
}
_H36M_CROPS = {"format": "h36m", "input_size_hw": [256, 256], "box_scale": 1.0}
_AUTHORS_INPUT: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {
    2: (_COCO_CROPS, {"pixel_mean": [0.406, 0.457, 0.480], "pixel_std": [1.0, 1.0, 1.0]}),
    3: (_H36M_CROPS, {"pixel_mean": [0.406, 0.457, 0.480], "pixel_std": [0.225, 0.224, 0.229]}),
}
_MMPOSE_PIXELS = {"pixel_mean": [0.485, 0.456, 0.406], "pixel_std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True)
class Converted:
    """A model in this project's names.

    backbone: the model's name in timm. model: state of a PoseModel. flows: state of the RealNVP of each likelihood,
    coupling by coupling. options: options that the config needs to match the model's training. The size of the crops,
    which files do not state, is the one of the published models.
    """

    backbone: str
    joints: int
    dims: int
    model: dict[str, Tensor]
    flows: tuple[dict[str, Tensor], ...]
    options: dict[str, Any]


def convert_state(state: State) -> Converted:
    """Convert a state dict of either layout; InputError for others."""
    names = {name.removeprefix("module."): value for name, value in state.items()}
    if "fc_coord.linear.weight" in names:
        return from_official(names)
    if any(f"{head}fc.weight" in names for head in _MMPOSE_HEADS):
        return from_mmpose(names)
    raise InputError(
        "expected weights of the authors' RLE models (fc_coord.linear.weight) or of mmpose's (head.fc.weight), found "
        f"{', '.join(list(names)[:3])}; other models cannot be converted"
    )


def from_official(state: State) -> Converted:
    """Convert the authors' layout: preact.*, fc_coord, fc_sigma, and flow (2-D) or flow3d and flow2d (3-D).

    Both subtract a mean from RGB; only 3-D models also divide by a standard deviation. Crops of COCO's people are
    larger than their boxes, crops of Human3.6M's are not. The coordinate layer gets features of norm 1.
    """
    # In 3-D there are two flows: the second one is for labels without depth.
    flows = ("flow3d.", "flow2d.") if any(name.startswith("flow3d.") for name in state) else ("flow.",)
    dims = 3 if len(flows) == 2 else 2
    sigma = "fc_sigma.linear." if "fc_sigma.linear.weight" in state else "fc_sigma."
    head = {
        f"head.coordinates.{parameter}": _get(state, f"fc_coord.linear.{parameter}") for parameter in ("weight", "bias")
    }
    head |= {f"head.scales.{parameter}": _get(state, sigma + parameter) for parameter in ("weight", "bias")}
    backbone, weights = _resnet(state, "preact.")
    crops, pixels = _AUTHORS_INPUT[dims]
    return Converted(
        backbone,
        joints=len(head["head.coordinates.bias"]) // dims,
        dims=dims,
        model=weights | head,
        flows=tuple(_couplings(state, prefix) for prefix in flows),
        options={
            "data": crops,
            "model": {**pixels, "head": {"normalize_features": True}},
            "loss": {"name": "rle", "form": "original", "root_depth": dims == 3},
        },
    )


def from_mmpose(state: State) -> Converted:
    """Convert mmpose's layout: backbone.*, head.fc with rows (x, y, scale x, scale y) per joint, and
    head.loss_module.flow_model.

    Positions are fractions of the crop, so 0.5 is subtracted from the bias. ImageNet's mean and standard deviation, no
    feature normalisation. mmpose's loss is twice −log of G(ē) Q(ē) / Π sigma with Q a Laplace density of scale 2, up to
    constants: `paper` is the same with the normaliser.
    """
    head = next(prefix for prefix in _MMPOSE_HEADS if f"{prefix}fc.weight" in state)
    weight, bias = _get(state, f"{head}fc.weight"), _get(state, f"{head}fc.bias")
    loss = "loss_module." if any(name.startswith(f"{head}loss_module.") for name in state) else "loss."
    if len(bias) % 4 or not any(name.startswith(f"{head}{loss}flow_model.") for name in state):
        raise InputError("the mmpose model has no flow, so it was not trained with RLE; use one with _rle in its name")
    rows = torch.arange(len(bias)).view(-1, 2, 2)  # joint; coordinates, scales; x, y
    coordinates, scales = rows[:, 0].flatten(), rows[:, 1].flatten()
    backbone, weights = _resnet(state, "backbone.")
    return Converted(
        backbone,
        joints=len(rows),
        dims=2,
        model=weights
        | {
            "head.coordinates.weight": weight[coordinates],
            "head.coordinates.bias": bias[coordinates] - 0.5,
            "head.scales.weight": weight[scales],
            "head.scales.bias": bias[scales],
        },
        flows=(_couplings(state, f"{head}{loss}flow_model."),),
        options={
            "data": _COCO_CROPS,
            "model": {**_MMPOSE_PIXELS, "head": {"normalize_features": False}},
            "loss": {"name": "rle", "form": "paper", "q": "laplace", "q_scale": 2.0},
        },
    )


def _get(state: State, name: str) -> Tensor:
    if name not in state:
        raise InputError(f"{name} is missing, so the file is incomplete; download it again")
    return state[name]


def _resnet(state: State, prefix: str) -> tuple[str, dict[str, Tensor]]:
    """Return the backbone's name in timm and its weights; InputError if it is no ResNet."""
    weights = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    found = [re.match(r"layer(\d)\.(\d+)\.conv1\.weight", name) for name in weights]
    stages: Sequence[int] = [int(match[1]) for match in found if match]
    blocks = tuple(stages.count(stage) for stage in (1, 2, 3, 4))
    name = _RESNETS.get((blocks, "layer1.0.conv3.weight" in weights))
    if name is None or "conv1.weight" not in weights:
        raise InputError(f"expected a ResNet of 18 to 152 layers as backbone, found {', '.join(list(weights)[:2])}, …")
    return f"{name}.tv_in1k", {
        f"backbone.features.{key}": value for key, value in weights.items() if not key.startswith("fc.")
    }


def _couplings(state: State, prefix: str) -> dict[str, Tensor]:
    """Return mask, s.i.layer.parameter and t.i.layer.parameter in the data's order, as RealNVP expects them."""
    mask = _get(state, f"{prefix}mask")
    renamed = {f"couplings.{len(mask) - 1 - theirs}.mask": row for theirs, row in enumerate(mask)}
    for theirs, ours in enumerate(reversed(range(len(mask)))):
        for short, network in (("s", "scale"), ("t", "shift")):
            for layer in ("0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"):
                renamed[f"couplings.{ours}.{network}.{layer}"] = _get(state, f"{prefix}{short}.{theirs}.{layer}")
    return renamed
