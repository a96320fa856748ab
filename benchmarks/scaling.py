"""The same work a rank on one rank and on two, on the CPU with gloo, one thread each."""

import os
import statistics
import tempfile
import time
from pathlib import Path

import inputs
import torch
import torch.distributed as dist
from bench import Bench
from measuring import Row
from torch.nn.parallel import DistributedDataParallel

from rlepose.config.config import Config
from rlepose.losses import build_criterion
from rlepose.models.options import BackboneConfig, TopDownModelConfig
from rlepose.models.pose_model import build_model
from rlepose.runtime.precision import choose_precision
from rlepose.tasks.top_down_step import TopDownStep
from rlepose.training.optimization import build_optimizer

Size = tuple[int, int]


def rows(bench: Bench) -> list[Row]:
    """Time of a step by the clock: the gain of two ranks over one is the efficiency, 1 at best."""
    persons, size_hw, steps = (2, (64, 64), 2) if bench.quick else (16, inputs.INPUT_SIZE_HW, 8)
    return [
        Row(
            f"training step, ResNet-18, {persons} persons a rank",
            "s",
            {
                "1 rank": lambda: _seconds_a_step(1, persons, size_hw, steps),
                "2 ranks": lambda: _seconds_a_step(2, persons, size_hw, steps),
            },
        )
    ]


def _seconds_a_step(world_size: int, persons: int, size_hw: Size, steps: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_rank, (world_size, persons, size_hw, steps, folder), nprocs=world_size)
        return float((Path(folder) / "seconds").read_text())


def _rank(rank: int, world_size: int, persons: int, size_hw: Size, steps: int, folder: str) -> None:
    """One process: the trainer's step on random pictures; rank 0 notes the median time."""
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world_size)
    torch.manual_seed(0)
    backbone = BackboneConfig(name="resnet18", pretrained=False)
    model = build_model(TopDownModelConfig(backbone=backbone), inputs.JOINTS, predict_sigma=True)
    precision = choose_precision("auto", torch.device("cpu"), model).dtype
    criterion = build_criterion(Config().loss, inputs.JOINTS)
    step = TopDownStep(model.to(memory_format=torch.channels_last), criterion, precision).train()
    module = DistributedDataParallel(step) if world_size > 1 else step
    optimizer = build_optimizer(Config().train.optimizer, step.parameters())
    image = torch.randint(0, 256, (persons, 3, *size_hw), dtype=torch.uint8).to(memory_format=torch.channels_last)
    target = torch.from_numpy(inputs.predicted(persons)[2])
    seconds = []
    for _ in range(steps):
        started = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        module(image, target, torch.ones_like(target)).mean().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    if rank == 0:
        (Path(folder) / "seconds").write_text(str(statistics.median(seconds[1:])))
    dist.destroy_process_group()
