"""A training step and inference on the CPU."""

import functools
from functools import partial

import inputs
import torch
from bench import Bench
from measuring import Row, cpu_seconds

from rlepose.config import BackboneConfig, LossConfig, ModelConfig, OptimizerConfig
from rlepose.engine.distributed import choose_precision
from rlepose.engine.optimization import build_optimizer
from rlepose.engine.trainer import TrainStep
from rlepose.losses import build_criterion
from rlepose.models.pose_model import PoseModel, build_model

Size = tuple[int, int]


def training_rows(bench: Bench) -> list[Row]:
    """One thread, processor time."""
    depth, persons, size_hw = _scale(bench)
    return [
        Row(
            f"training step, ResNet-{depth}, batch {persons}, a person",
            "ms",
            {
                "ours, plain float32": partial(_train, depth, persons, size_hw, False),
                **bench.official("step", depth=depth, size=persons, size_hw=size_hw),
                "ours": partial(_train, depth, persons, size_hw, True),
            },
        )
    ]


def inference_rows(bench: Bench) -> list[Row]:
    """One thread, processor time; the plain side is contiguous float32."""
    depth, many, size_hw = _scale(bench)
    return [
        Row(
            f"inference, ResNet-{depth}, batch {persons}, a person",
            "ms",
            {
                "torch, plain float32": partial(_infer, depth, persons, size_hw, False),
                "torch": partial(_infer, depth, persons, size_hw, True),
            },
        )
        for persons in (1, many)
    ]


def _scale(bench: Bench) -> tuple[int, int, Size]:
    return (18, 2, (64, 64)) if bench.quick else (50, 16, inputs.INPUT_SIZE_HW)


def _model(depth: int, tuned: bool) -> PoseModel:
    torch.manual_seed(0)
    backbone = BackboneConfig(name=f"resnet{depth}", pretrained=False)
    model = build_model(ModelConfig(backbone=backbone), inputs.JOINTS, predict_sigma=True)
    return model.to(memory_format=torch.channels_last) if tuned else model


def _image(persons: int, size_hw: Size, tuned: bool) -> torch.Tensor:
    image = torch.randint(0, 256, (persons, 3, *size_hw), dtype=torch.uint8)
    return image.to(memory_format=torch.channels_last) if tuned else image


@functools.cache
def _trained(depth: int, tuned: bool) -> tuple[TrainStep, torch.optim.Optimizer]:
    """The trainer's step and optimiser, or the same network as one writes it down first."""
    precision = choose_precision("auto", torch.device("cpu")) if tuned else torch.float32
    step = TrainStep(_model(depth, tuned), build_criterion(LossConfig(), inputs.JOINTS), precision).train()
    if tuned:
        return step, build_optimizer(OptimizerConfig(), step.parameters())
    return step, torch.optim.Adam(step.parameters(), lr=1e-3)


def _train(depth: int, persons: int, size_hw: Size, tuned: bool) -> float:
    step, optimizer = _trained(depth, tuned)
    image = _image(persons, size_hw, tuned)
    target = torch.from_numpy(inputs.predicted(persons)[2])

    def work() -> None:
        loss = step(image, target, torch.ones_like(target)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return cpu_seconds(work) / persons * 1e3


@functools.cache
def _deployed(depth: int, tuned: bool) -> PoseModel:
    return _model(depth, tuned).eval()


@torch.inference_mode()
def _infer(depth: int, persons: int, size_hw: Size, tuned: bool) -> float:
    model, image = _deployed(depth, tuned), _image(persons, size_hw, tuned)
    times = max(1, 8 // persons)
    reduced = tuned and choose_precision("auto", torch.device("cpu")) == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
        return cpu_seconds(lambda: [model(image) for _ in range(times)]) / persons / times * 1e3
