"""A training step on the CPU."""

import functools
from functools import partial

import inputs
import torch
from bench import Bench
from measuring import Row, cpu_seconds

from rlepose.config.config import Config
from rlepose.datasets.crops import CropBatch
from rlepose.losses import build_criterion
from rlepose.models.options import BackboneConfig, TopDownModelConfig
from rlepose.models.pose_model import PoseModel, build_model
from rlepose.runtime.precision import choose_precision
from rlepose.tasks.top_down_step import TopDownStep
from rlepose.training.optimization import build_optimizer

Size = tuple[int, int]


def rows(bench: Bench) -> list[Row]:
    """One thread, processor time."""
    depth, persons, size_hw = scale(bench)
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


def scale(bench: Bench) -> tuple[int, int, Size]:
    return (18, 2, (64, 64)) if bench.quick else (50, 16, inputs.INPUT_SIZE_HW)


def network(depth: int, tuned: bool) -> PoseModel:
    torch.manual_seed(0)
    backbone = BackboneConfig(name=f"resnet{depth}", pretrained=False)
    model = build_model(TopDownModelConfig(backbone=backbone), inputs.JOINTS, predict_sigma=True)
    return model.to(memory_format=torch.channels_last) if tuned else model


def crops(persons: int, size_hw: Size, tuned: bool) -> torch.Tensor:
    image = torch.randint(0, 256, (persons, 3, *size_hw), dtype=torch.uint8)
    return image.to(memory_format=torch.channels_last) if tuned else image


@functools.cache
def _trained(depth: int, tuned: bool) -> tuple[TopDownStep, torch.optim.Optimizer]:
    """The trainer's step and optimiser, or the same network as one writes it down first."""
    model = network(depth, tuned)
    precision = choose_precision("auto", torch.device("cpu"), model).dtype if tuned else torch.float32
    step = TopDownStep(model, build_criterion(Config().loss, inputs.JOINTS), precision).train()
    if tuned:
        return step, build_optimizer(Config().train.optimizer, step.parameters())
    return step, torch.optim.Adam(step.parameters(), lr=1e-3)


def _train(depth: int, persons: int, size_hw: Size, tuned: bool) -> float:
    return ms_a_person(*_trained(depth, tuned), crops(persons, size_hw, tuned))


def ms_a_person(step: TopDownStep, optimizer: torch.optim.Optimizer, image: torch.Tensor) -> float:
    """Processor time of one update from these crops (B, 3, H, W)."""
    persons = len(image)
    target = torch.from_numpy(inputs.predicted(persons)[2])

    def work() -> None:
        loss = step(CropBatch.of_tensors(image, target, torch.ones_like(target))).per_person.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return cpu_seconds(work) / persons * 1e3
