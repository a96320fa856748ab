"""Flow and loss: operators a step, and their time."""

from functools import partial

import inputs
import torch
from bench import Bench
from measuring import Row, cpu_seconds, operators
from torch import Tensor

from rlepose.config.config import Config
from rlepose.losses import build_criterion
from rlepose.pose.codec import PoseOutput


def rows(bench: Bench) -> list[Row]:
    """From mu and sigma to all gradients, every joint labelled; and the authors' accuracy on the host."""
    accuracies = [
        Row(f"accuracy of a training batch of {size} on the host (ours: none)", "ms", sides)
        for size in (32, 256)
        if (sides := bench.official("accuracy", size=size))
    ]
    return [
        *(
            Row(
                f"flow + loss, {way}",
                "operators",
                {**bench.official("loss", size=32, count=way), "ours": partial(_loss, 32, way)},
                exact=True,
            )
            for way in ("forward", "backward")
        ),
        *(
            Row(
                f"flow + loss, batch {size}",
                "ms",
                {**bench.official("loss", size=size), "ours": partial(_loss, size)},
            )
            for size in (32, bench.size(256, 32))
        ),
        *accuracies,
    ]


def _loss(size: int, count: str | None = None) -> float:
    """ms of processor time, or operators 'forward' or 'backward'."""
    mu, logits, target = map(torch.from_numpy, inputs.predicted(size))
    mu.requires_grad_()
    sigma = logits.sigmoid().requires_grad_()
    weight = torch.ones_like(target)
    torch.manual_seed(0)
    criterion = build_criterion(Config().loss, inputs.JOINTS)

    def forward() -> Tensor:
        return criterion(PoseOutput(mu, sigma), target, weight).mean()

    if count is not None:
        return operators(forward)[count == "backward"]
    forward().backward()
    return cpu_seconds(lambda: [forward().backward() for _ in range(5)]) / 5 * 1e3
