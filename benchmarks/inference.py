"""Inference on the CPU, by runtime."""

import functools
import importlib.util
from functools import partial
from pathlib import Path

import inputs
import numpy as np
import torch
from bench import Bench
from measuring import Row, cpu_seconds
from step import Size, crops, network, scale

from rlepose.export.description import Description
from rlepose.export.formats import Run, open_onnx, write_onnx
from rlepose.export.network import ExportedNetwork
from rlepose.export.quantize import quantize
from rlepose.models.pose_model import PoseModel
from rlepose.pose.skeleton import COCO
from rlepose.runtime.precision import choose_precision


def rows(bench: Bench) -> list[Row]:
    """One thread, processor time, random weights: what int8 costs in AP is told by validation, not here."""
    depth, many, size_hw = scale(bench)
    onnx = {}
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnxscript"):
        onnx = {f"onnxruntime, {kind}": _exported(bench.folder, depth, size_hw, kind) for kind in ("float32", "int8")}
    return [
        Row(
            f"inference, ResNet-{depth}, batch {persons}, a person",
            "ms",
            {
                "torch, plain float32": partial(_torch, depth, persons, size_hw, False),
                "torch": partial(_torch, depth, persons, size_hw, True),
                **{name: partial(_onnx, run, persons, size_hw) for name, run in onnx.items()},
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
    reduced = tuned and choose_precision("auto", torch.device("cpu"), model).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
        return cpu_seconds(lambda: [model(image) for _ in range(times)]) / persons / times * 1e3


def _exported(folder: Path, depth: int, size_hw: Size, kind: str) -> Run:
    """The network through an ONNX file; int8 ranges are those of random pictures."""
    deployed = ExportedNetwork(_deployed(depth, tuned=False))
    path = folder / f"{kind}.onnx"
    spread = ((1.0, 1.0),) * inputs.JOINTS
    description = Description(COCO, size_hw, inputs.PADDING, deployed.output_names, kind, "rle", spread)
    write_onnx(deployed, crops(2, size_hw, tuned=False), path, description)
    if kind == "int8":
        quantize(path, crops(4, size_hw, tuned=False).numpy())
    return open_onnx(path).run


def _onnx(run: Run, persons: int, size_hw: Size) -> float:
    image = np.asarray(crops(persons, size_hw, tuned=False))
    times = max(1, 8 // persons)
    return cpu_seconds(lambda: [run(image) for _ in range(times)]) / persons / times * 1e3
