"""What a trainer is given: batches, the module that computes their losses, and a validation."""

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
    """What a step module gives.

    per_person: (P,), whose mean training minimises.
    terms: by name, (P,) each, what else is worth logging; no gradient passes through them.
    """

    per_person: Tensor
    terms: dict[str, Tensor]


class Batch(Protocol):
    """What a step module takes.

    persons: (P,) int64, who is in it: numbers that `Task.describe_person` knows. problems: (P,) texts, empty or why a
    person's picture could not be read.
    """

    persons: Tensor
    problems: list[str]

    def split(self, parts: int) -> Sequence[Self]:
        """Batches of equal size, in order."""

    def to(self, device: torch.device) -> Self:
        """The batch on a device; copies from pinned memory do not wait."""

    def tensors(self) -> Iterable[Tensor]:
        """All tensors of the batch."""


class Order(Protocol):
    """Whose turn it is: an epoch begins at step `first_step` of the order for (epoch, attempt)."""

    batch_size: int
    epoch: int
    first_step: int
    attempt: int

    def __len__(self) -> int:
        """Steps of a whole epoch."""


class StepModule(nn.Module, ABC):
    """Network and loss in one module, for DDP to wrap: what the loss learns must be equal on all ranks, too.

    model: what is deployed. criterion: the loss.
    term_names: of the terms that `forward` gives.
    """

    model: nn.Module
    criterion: nn.Module
    term_names: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, batch: Any) -> Losses:
        """The losses of a batch."""


class Validated(NamedTuple):
    """metrics by name; the same as text; a picture (H, W, 3) RGB of some predictions, None on other ranks than 0."""

    metrics: dict[str, Any]
    table: str
    picture: NDArray[np.uint8] | None


class Resumed(NamedTuple):
    """A checkpoint to go on from.

    tree: as `RunState.tree` made it. options: of the training before. changed: other options than before, in words.
    same_selection: whether the best value so far is of the number that chooses the best checkpoint now.
    """

    tree: dict[str, Any]
    options: TrainConfig
    changed: list[str]
    same_selection: bool


class Task(ABC):
    """What is trained, on what, and how it is judged; the trainer knows nothing else of it.

    step: its weights are filled, it is on the device, and its parameters get a gradient.
    order: of the batches that `loader` gives on this rank.
    """

    step: StepModule
    order: Order
    loader: "torch.utils.data.DataLoader[Any]"

    @abstractmethod
    def describe(self) -> list[tuple[str, str]]:
        """What a run says of the task before its first step: derived values by name, with the reason."""

    @abstractmethod
    def describe_person(self, number: int) -> str:
        """Who it is that a batch calls by this number, for messages: 'annotation 5 in images/a.jpg'."""

    @abstractmethod
    def note_problems(self, problems: list[str]) -> None:
        """Take note of a batch's `problems`; InputError where the run is to end at the first."""

    @abstractmethod
    def report_problems(self) -> None:
        """Log the problems that are new since the last call. Every rank has to call."""

    @abstractmethod
    def validate(self, model: nn.Module, criterion: nn.Module, batches: int | None = None) -> Validated:
        """Judge weights; every rank has to call. batches: of so many only, to see whether validating works."""

    @property
    @abstractmethod
    def selecting(self) -> str:
        """Name of the metric whose best value makes a checkpoint best.pt, or 'last'."""

    @abstractmethod
    def better(self, value: float | None, best: float | None) -> bool:
        """Whether a value of the metric `selecting` beats the best so far."""

    @abstractmethod
    def header(self) -> dict[str, Any]:
        """What a checkpoint says beside the weights and the run's progress: plain types by name."""

    @abstractmethod
    def read_checkpoint(self, path: Path) -> Resumed:
        """A whole checkpoint to go on from; InputError where it is of another task."""

    @abstractmethod
    def progress(self) -> dict[str, Any]:
        """What a resumed run of the task goes on with beside its weights: plain types by name."""

    @abstractmethod
    def take_up(self, progress: dict[str, Any]) -> None:
        """Go on with what `progress` gave; what an older run does not have is left as it is."""

    @abstractmethod
    def write_card(self, checkpoint: Path, metrics: dict[str, Any], epoch: int) -> None:
        """Write the model card beside the best checkpoint, after so many finished epochs."""

    @property
    @abstractmethod
    def num_persons(self) -> dict[str, int]:
        """How many are trained and validated on."""
