"""Inference on the CPU, by runtime."""

import functools
from functools import partial

import torch
from bench import Bench
from measuring import Row, cpu_seconds
from step import Size, crops, network, scale

from rlepose.engine.distributed import choose_precision
from rlepose.models.pose_model import PoseModel


def rows(bench: Bench) -> list[Row]:
    """One thread, processor time, random weights."""
    depth, many, size_hw = scale(bench)
    return [
        Row(
            f"inference, ResNet-{depth}, batch {persons}, a person",
            "ms",
            {
                "torch, plain float32": partial(_torch, depth, persons, size_hw, False),
                "torch": partial(_torch, depth, persons, size_hw, True),
            },
        )
        for persons in (1, many)
    ]


@functools.cache
def _deployed(depth: int, tuned: bool) -> PoseModel:
    return network(depth, tuned).eval()


@torch.inference_mode()
def _torch(depth: int, persons: int, size_hw: Size, tuned: bool) -> float:
    """ms a person. Tuned: channels_last, and bfloat16 where the processor has it."""
    model, image = _deployed(depth, tuned), crops(persons, size_hw, tuned)
    times = max(1, 8 // persons)
    reduced = tuned and choose_precision("auto", torch.device("cpu")) == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
        return cpu_seconds(lambda: [model(image) for _ in range(times)]) / persons / times * 1e3
