"""A training step in float32 and in bfloat16 for several backbones, on the CPU; `system.precision` chooses by this."""

import functools
from functools import partial

import inputs
import torch
from bench import Bench
from measuring import Row
from step import Size, crops, ms_a_person

from rlepose.config.config import Config
from rlepose.losses import build_criterion
from rlepose.models.backbones import Backbone
from rlepose.models.options import BackboneConfig, TopDownModelConfig
from rlepose.models.pose_model import build_model
from rlepose.runtime.precision import depthwise_share
from rlepose.tasks.top_down_step import TopDownStep
from rlepose.training.optimization import build_optimizer

# By falling share of depthwise weights.
BACKBONES = (
    "tf_efficientnet_lite0",
    "efficientnet_b0",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "convnext_atto",
    "edgenext_small",
    "tf_efficientnetv2_s",
    "convnext_tiny",
    "repvit_m1",
    "hrnet_w32",
    "resnet50",
    "resnet18",
)


def rows(bench: Bench) -> list[Row]:
    """One thread, processor time."""
    persons, size_hw = (2, (64, 64)) if bench.quick else (8, (128, 96))
    return [
        Row(
            f"training step, {name} ({_share(name):.1%} depthwise), batch {persons} of {'x'.join(map(str, size_hw))}",
            "ms a person",
            {
                str(precision).removeprefix("torch."): partial(_train, name, precision, persons, size_hw)
                for precision in (torch.float32, torch.bfloat16)
            },
        )
        for name in (("mobilenetv3_large_100",) if bench.quick else BACKBONES)
    ]


def _share(name: str) -> float:
    with torch.device("meta"):
        return depthwise_share(Backbone(name))


@functools.cache
def _trained(name: str, precision: torch.dtype) -> tuple[TopDownStep, torch.optim.Optimizer]:
    torch.manual_seed(0)
    config = TopDownModelConfig(backbone=BackboneConfig(name=name, pretrained=False))
    model = build_model(config, inputs.JOINTS, predict_sigma=True).to(memory_format=torch.channels_last)
    step = TopDownStep(model, build_criterion(Config().loss, inputs.JOINTS), precision).train()
    return step, build_optimizer(Config().train.optimizer, step.parameters())


def _train(name: str, precision: torch.dtype, persons: int, size_hw: Size) -> float:
    return ms_a_person(*_trained(name, precision), crops(persons, size_hw, tuned=True))
