"""Base class of tasks that train on the joints of labelled persons."""

import functools
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from rlepose.config.config import Config
from rlepose.config.names import differences
from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.fingerprint import data_differences, fingerprint
from rlepose.datasets.of_config import training_files
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.losses import Criterion
from rlepose.pose.skeleton import Skeleton
from rlepose.runtime.checkpoint import header, load_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.precision import Precision
from rlepose.runtime.trained_lifter import TrainedLifter
from rlepose.runtime.trained_model import TrainedModel
from rlepose.tasks.lifting_step import LiftingStep
from rlepose.tasks.model_card import model_card
from rlepose.tasks.top_down_step import TopDownStep
from rlepose.training.task import Resumed, Task, Validated
from rlepose.validation.validation import Validation
from rlepose.validation.validations import selecting_number


class PoseTask(Task):
    """A config's training persons, its network with its loss, and its validation.

    skeleton: joints of the training file. precision: precision of the network in training.
    in_precision: the part of the network that uses this precision, for the log.
    """

    in_precision: ClassVar[str]
    config: Config
    ranks: Ranks
    step: TopDownStep | LiftingStep
    order: TrainBatches
    validation: Validation[Any]
    skeleton: Skeleton
    precision: Precision

    @property
    @abstractmethod
    def table(self) -> PersonTable:
        """The training persons."""

    @property
    @abstractmethod
    def network_name(self) -> str:
        """Name of the network in the log."""

    @abstractmethod
    def trained(self, model: nn.Module, criterion: Criterion) -> TrainedModel | TrainedLifter:
        """Return a predictor with these weights."""

    def describe(self) -> list[tuple[str, str]]:
        ranks = self.ranks
        precision = f"{self.precision.name}: {self.precision.reason}"
        model, criterion = (
            sum(p.numel() for p in part.parameters()) for part in (self.step.model, self.step.criterion)
        )
        pairs = len(self.skeleton.flip_pairs)
        return [
            ("device", f"{ranks.world_size} × {ranks.device.type}, {self.in_precision} in {precision}"),
            ("persons", f"{self.order.num_persons} for training, {self.num_persons['validation']} for validation"),
            ("joints", f"{len(self.skeleton)}, with {pairs} left/right pairs"),
            (
                "model",
                f"{self.network_name}, {model / 1e6:.1f} M parameters; loss {self.config.loss.name}, "
                f"{criterion / 1e6:.3f} M parameters",
            ),
        ]

    def describe_person(self, number: int) -> str:
        return f"annotation {self.table.person_ids[number]} in {self.table.image_path(number)}"

    def validate(self, model: nn.Module, criterion: nn.Module, batches: int | None = None) -> Validated:
        assert isinstance(criterion, Criterion)
        self.ranks.equalize_buffers(model)
        trained = self.trained(model, criterion)
        evaluator = self.validation.evaluator
        metrics, _, poses = self.validation.run(trained, batches)
        table, count = evaluator.format_table(metrics), self.config.eval.pictures
        if not self.ranks.is_main:
            return Validated(metrics, table, None, {})
        picture = evaluator.pictures(poses, trained.spread, count) if count else None
        # Computing a flow's spread takes seconds, which would delay the first prediction with a checkpoint.
        derived = {} if batches is not None else {"spread": torch.from_numpy(trained.spread)}
        return Validated(metrics, table, picture, derived)

    @property
    def selecting(self) -> str:
        return selecting_number(self.config)

    def better(self, value: float | None, best: float | None) -> bool:
        return self.validation.evaluator.better(self.selecting, value, best)

    def header(self) -> dict[str, Any]:
        return header(self.config, self.skeleton)

    def read_checkpoint(self, path: Path) -> Resumed:
        checkpoint = load_checkpoint(path, whole=True)
        if checkpoint.config.task != self.config.task:
            raise InputError(
                f"--resume: {path} was trained with model.name={checkpoint.config.task}, but the config has "
                f"{self.config.task}; start anew under another --name"
            )
        if checkpoint.skeleton.names != self.skeleton.names:
            raise InputError(
                f"--resume: {path} was trained on the joints {', '.join(checkpoint.skeleton.names)}, but the data now "
                f"have {', '.join(self.skeleton.names)}; start anew under another --name"
            )
        changed = differences(checkpoint.config, self.config)
        persons, now = checkpoint.progress.get("data", {}), self._fingerprints
        data = data_differences(persons, now, self._files)
        # Values of different metrics, or on different persons, cannot be compared.
        same = _selection(checkpoint.config) == _selection(self.config)
        same = same and persons.get("validation", now["validation"]) == now["validation"]
        return Resumed(vars(checkpoint), checkpoint.config.train, changed, data, same)

    def progress(self) -> dict[str, Any]:
        return {"precision": self.precision.name, "data": self._fingerprints}

    @functools.cached_property
    def _fingerprints(self) -> dict[str, dict[str, Any]]:
        return {"training": fingerprint(self.table), "validation": fingerprint(self.validation.table)}

    @property
    def _files(self) -> dict[str, str]:
        training = ", ".join(str(annotations) for annotations, _ in training_files(self.config.data))
        return {"training": training, "validation": str(self.validation.evaluator.path)}

    def take_up(self, progress: dict[str, Any]) -> None:
        begun_in = progress.get("precision", self.precision.name)
        if self.config.system.precision == "auto" and begun_in != self.precision.name:
            self.precision = Precision(getattr(torch, begun_in), "the run began in it")
            self.step.precision = self.precision.dtype

    def card(self, metrics: dict[str, Any], epoch: int) -> str:
        persons = {
            "training": (len(self.table), self.table.left_out),
            "validation": self.validation.judged(metrics),
        }
        return model_card(self.config, self.skeleton, metrics, epoch, persons)

    @property
    def num_persons(self) -> dict[str, int]:
        return {"training": len(self.table), "validation": len(self.validation.table)}


def _selection(config: Config) -> tuple[str, Any]:
    """Return the metric that selects the best checkpoint, and the options that it depends on."""
    name = selecting_number(config)
    if name.startswith("gt/PCK"):
        return name, config.eval.pck_reference
    return name, config.eval.nme_reference if name.startswith("gt/NME") else None
