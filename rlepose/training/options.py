"""Options of training."""

from dataclasses import dataclass
from typing import Literal

from rlepose.options import option, section


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser."""

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
    """The learning rate over time; times are in epochs and may be fractions."""

    name: str
    warmup_epochs: float = option(0.0, "epochs of linear growth from 0 to the full rate", low=0)


@dataclass(frozen=True)
class StepConfig(ScheduleConfig):
    """Multiply by `gamma` at each milestone."""

    name: Literal["step"] = "step"
    milestones: tuple[float, ...] = option((170, 200), "epochs after which the rate drops", above=0)
    gamma: float = option(0.1, "factor at each milestone", above=0, high=1)


@dataclass(frozen=True)
class CosineConfig(ScheduleConfig):
    """Decrease to 0 at the end, along a cosine."""

    name: Literal["cosine"] = "cosine"


AnySchedule = StepConfig | CosineConfig


@dataclass(frozen=True)
class TrainConfig:
    """The length of training, its batches, and its checkpoints."""

    epochs: int = option(270, "passes over the training persons", low=1)
    batch_size: int = option(256, "persons per step over all devices together", low=1)
    accumulate: int = option(1, "parts into which a device divides its share of a step, to save memory", low=1)
    optimizer: AnyOptimizer = section(AdamConfig)
    schedule: AnySchedule = section(StepConfig)
    on_nonfinite: Literal["error", "skip", "rewind"] = option(
        "error",
        "response to a NaN or infinite loss or gradient. error: stop the run; skip: skip and report the step; rewind: "
        "go back to the last checkpoint and continue with the persons in another order",
    )
    max_rewinds: int = option(3, "on_nonfinite=rewind: number of rewinds after which the run stops", low=1)
    clip_grad_norm: float | None = option(None, "maximum norm of the gradient; null: no limit", above=0)
    clip_grad_by: Literal["all", "tensor"] = option(
        "all",
        "norm that clip_grad_norm limits: of the gradient of all weights together, or of each weight "
        "tensor separately (the authors' 3-D recipe)",
    )
    average_decay: float | None = option(
        None,
        "decay of a moving average of the weights (EMA), which is then validated and saved as best.pt, for example "
        "0.999; null: no average",
        low=0,
        high=0.99999,
    )
    seed: int = option(0, "seed of initial weights, sample order and augmentation", low=0)
    validate_every: int = option(10, "epochs between validations; the last epoch is always validated", low=1)
    select_by: str | None = option(
        None,
        "metric in metrics.json that selects the epoch of best.pt, such as gt/AP75; null: gt/AP, in 3-D MPJPE; last: "
        "the last validated epoch, as in the authors' results",
    )
    keep_every: int | None = option(
        None,
        "epochs between checkpoints that are kept as epoch_10.pt and so on; null: only last, previous and best",
        low=1,
    )
    log_every: int = option(50, "steps between log entries of loss and speed", low=1)
    save_every: int | None = option(
        None,
        "steps between checkpoints within an epoch; null: only at its end and when a signal stops the run",
        low=1,
    )
