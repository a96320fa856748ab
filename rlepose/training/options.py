"""Options of training."""

from dataclasses import dataclass
from typing import Literal

from rlepose.options import option, section


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights follow the gradient."""

    name: str
    lr: float = option(1e-3, "learning rate", above=0)
    weight_decay: float = option(0.0, "L2 penalty (adam, sgd) or decoupled decay (adamw)", low=0)


@dataclass(frozen=True)
class AdamConfig(OptimizerConfig):
    """Adam."""

    name: Literal["adam"] = "adam"


@dataclass(frozen=True)
class AdamWConfig(OptimizerConfig):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = "adamw"


@dataclass(frozen=True)
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"] = "sgd"
    momentum: float = option(0.9, "momentum", low=0, high=0.9999)


AnyOptimizer = AdamConfig | AdamWConfig | SGDConfig


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate changes; times are in epochs and may be fractions."""

    name: str
    warmup_epochs: float = option(0.0, "epochs of linear growth from 0 to the full rate", low=0)


@dataclass(frozen=True)
class StepConfig(ScheduleConfig):
    """Times `gamma` at each milestone."""

    name: Literal["step"] = "step"
    milestones: tuple[float, ...] = option((170, 200), "epochs after which the rate drops", above=0)
    gamma: float = option(0.1, "factor at each milestone", above=0, high=1)


@dataclass(frozen=True)
class CosineConfig(ScheduleConfig):
    """To 0 at the end, along a cosine."""

    name: Literal["cosine"] = "cosine"


AnySchedule = StepConfig | CosineConfig


@dataclass(frozen=True)
class TrainConfig:
    """How long, how large, how often."""

    epochs: int = option(270, "passes over the training persons", low=1)
    batch_size: int = option(256, "persons a step over all devices together", low=1)
    accumulate: int = option(1, "parts in which a device computes its share of a step, to save memory", low=1)
    optimizer: AnyOptimizer = section(AdamConfig)
    schedule: AnySchedule = section(StepConfig)
    on_nonfinite: Literal["error", "skip", "rewind"] = option(
        "error",
        "what a NaN or infinite loss or gradient does: end the run, have its step skipped and reported, or take the "
        "run back to its last checkpoint, from which it goes on with the persons in another order",
    )
    max_rewinds: int = option(3, "on_nonfinite=rewind: how often, before the run ends after all", low=1)
    clip_grad_norm: float | None = option(None, "largest norm of a gradient; null: no limit", above=0)
    clip_grad_by: Literal["all", "tensor"] = option(
        "all",
        "whose norm clip_grad_norm limits: the gradient of all weights together, or of each weight "
        "tensor by itself (the authors' 3-D recipe)",
    )
    average_decay: float | None = option(
        None,
        "validate and keep, as best.pt, a moving average of the weights (EMA), of which each step leaves this share: "
        "0.999, say; null: the weights as they are",
        low=0,
        high=0.99999,
    )
    seed: int = option(0, "seed of initial weights, order and augmentation", low=0)
    validate_every: int = option(10, "epochs between validations; the last epoch always ends with one", low=1)
    select_by: str | None = option(
        None,
        "which validated epoch becomes best.pt: the best by this number of metrics.json, such as gt/AP75; null: by "
        "gt/AP, in 3-D by MPJPE; last: the newest, whose weights the authors report",
    )
    keep_every: int | None = option(
        None,
        "epochs between checkpoints that stay, as epoch_10.pt and so on; null: only last, previous and best",
        low=1,
    )
    log_every: int = option(50, "steps between two entries of loss and speed in the log", low=1)
    save_every: int | None = option(
        None,
        "steps between two checkpoints within an epoch; null: one at its end, and one when a signal stops the run",
        low=1,
    )
