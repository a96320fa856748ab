"""The interface between trainer and task: batches, a module that computes their losses, and a validation."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import Self

from rlepose.training.options import TrainConfig


class Losses(NamedTuple):
    """Output of a step module.

    per_person: (P,); training minimises the mean.
    terms: other values to log, by name, (P,) each, detached.
    """

    per_person: Tensor
    terms: dict[str, Tensor]


class Batch(Protocol):
    """Input of a step module.

    persons: (P,) int64, numbers of the persons, for `Task.describe_person`. problems: (P,) texts, the reason why a
    person's picture is unreadable, else ''.
    """

    persons: Tensor
    problems: list[str]

    def split(self, parts: int) -> Sequence[Self]:
        """Return batches of equal size, in order."""

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device; copies from pinned memory do not block."""

    def tensors(self) -> Iterable[Tensor]:
        """Return all tensors of the batch."""


class Order(Protocol):
    """The order of samples: an epoch starts at step `first_step` of the order for (epoch, attempt)."""

    batch_size: int
    epoch: int
    first_step: int
    attempt: int

    def __len__(self) -> int:
        """Return the number of steps in a whole epoch."""


class StepModule(nn.Module, ABC):
    """Network and loss in one module, which DDP wraps, so that parameters of the loss are also equal on all ranks.

    model: the deployed network. criterion: the loss.
    term_names: names of the terms that `forward` returns.
    """

    model: nn.Module
    criterion: nn.Module
    term_names: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, batch: Any) -> Losses:
        """Return the losses of a batch."""


class Validated(NamedTuple):
    """metrics by name; table, the same as text; picture (H, W, 3) RGB with some predictions, None except on rank 0.

    derived: what follows from the weights alone and checkpoints of them store: tensors and plain types by name; {}
    except on rank 0.
    """

    metrics: dict[str, Any]
    table: str
    picture: NDArray[np.uint8] | None
    derived: dict[str, Any]


class Resumed(NamedTuple):
    """A checkpoint to resume from.

    tree: as returned by `RunState.tree`. options: training options of the earlier run. changed: options that differ
    now, as text. changed_data: how the persons differ from the earlier run's, as text; '' if they are the same.
    same_selection: whether the best value so far is of the metric that now selects the best checkpoint.
    """

    tree: dict[str, Any]
    options: TrainConfig
    changed: list[str]
    changed_data: str
    same_selection: bool


class Task(ABC):
    """What is trained, on which data, and how it is evaluated; everything that the trainer knows of it.

    step: has its initial weights, is on the device, and all its parameters get a gradient.
    order: order of the batches that `loader` returns on this rank.
    """

    step: StepModule
    order: Order
    loader: "torch.utils.data.DataLoader[Any]"

    @abstractmethod
    def describe(self) -> list[tuple[str, str]]:
        """Return derived values by name, with the reason, to log before the first step."""

    @abstractmethod
    def describe_person(self, number: int) -> str:
        """Describe a person of a batch by number, for messages: 'annotation 5 in images/a.jpg'."""

    @abstractmethod
    def note_problems(self, problems: list[str]) -> None:
        """Record the `problems` of a batch; raise InputError if the run must stop at the first."""

    @abstractmethod
    def report_problems(self) -> None:
        """Log new problems since the last call. Collective: every rank must call."""

    @abstractmethod
    def validate(self, model: nn.Module, criterion: nn.Module, batches: int | None = None) -> Validated:
        """Evaluate weights. Collective. batches: evaluate only so many, to test that validation works."""

    @property
    @abstractmethod
    def selecting(self) -> str:
        """Name of the metric that selects best.pt, or 'last'."""

    @abstractmethod
    def better(self, value: float | None, best: float | None) -> bool:
        """Return whether a value of the metric `selecting` is better than the best so far."""

    @abstractmethod
    def header(self) -> dict[str, Any]:
        """Return what a checkpoint stores besides weights and progress: plain types by name."""

    @abstractmethod
    def read_checkpoint(self, path: Path) -> Resumed:
        """Read a complete checkpoint to resume from; InputError if it belongs to another task."""

    @abstractmethod
    def progress(self) -> dict[str, Any]:
        """Return the task's state that a resumed run needs besides its weights: plain types by name."""

    @abstractmethod
    def take_up(self, progress: dict[str, Any]) -> None:
        """Restore the output of `progress`; state that an older version did not store is left unchanged."""

    @abstractmethod
    def card(self, metrics: dict[str, Any], epoch: int) -> str:
        """Return the model card of a checkpoint with these metrics, in Markdown. epoch: number of finished epochs."""

    @property
    @abstractmethod
    def num_persons(self) -> dict[str, int]:
        """Numbers of persons for training and validation."""
