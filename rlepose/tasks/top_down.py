"""The top-down task, in 2-D and in 3-D: one person's crop in, that person's pose out."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from rlepose.config.config import Config
from rlepose.config.names import differences
from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.crops import BadImages, make_loader
from rlepose.datasets.of_config import persons_with_depth, training_dataset, use_crop_cache
from rlepose.errors import InputError
from rlepose.losses import Criterion, build_criterion
from rlepose.models.pose_model import network_of
from rlepose.runtime.checkpoint import header, load_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.precision import Precision, choose_precision
from rlepose.runtime.trained_model import TrainedModel
from rlepose.tasks.model_card import card_path, model_card
from rlepose.tasks.top_down_checks import (
    check_batch,
    check_gradients,
    check_input_size,
    check_joints,
    check_persons,
    check_selection,
)
from rlepose.tasks.top_down_step import TopDownStep, check_compile
from rlepose.training.task import Resumed, Task, Validated
from rlepose.validation.validations import build_validation, selecting_number


class TopDown(Task):
    """Crops of a config's training persons, backbone and head with the config's loss, and its validation.

    resume: a checkpoint will fill the network, so no weights are fetched. InputError for whatever of data and options
    does not go together.
    """

    step: TopDownStep

    def __init__(self, config: Config, ranks: Ranks, resume: bool = False) -> None:
        self.config = config
        self.ranks = ranks
        check_batch(config, ranks.world_size)
        check_compile(config.system.compile, ranks.device)
        data, train = config.data, config.train
        self.validation = build_validation(config, "gt", ranks)
        self.dataset = training_dataset(config)
        self.skeleton, table = self.dataset.skeleton, self.dataset.table
        check_joints(data, self.skeleton, self.validation.evaluator)
        check_persons(data, table, self.validation)
        check_selection(config, self.validation.evaluator)
        use_crop_cache(self.dataset, config)
        count, divisor = persons_with_depth(table), ranks.world_size * train.accumulate
        self.order: TrainBatches = TrainBatches(
            *(count, train.batch_size, train.seed, ranks.rank, ranks.world_size, divisor), num_extra=len(table) - count
        )
        self.loader = make_loader(self.dataset, self.order, config.system.workers, ranks.device.type == "cuda")
        self._bad_images = BadImages(data.on_bad_image)
        torch.manual_seed(train.seed)  # equal initial weights on all ranks
        model = network_of(config, len(self.skeleton), pretrained=not resume).to(ranks.device)
        check_input_size(model, data.input_size_hw, ranks.device)
        if config.system.channels_last:
            model = model.to(memory_format=torch.channels_last)
        criterion = build_criterion(config.loss, len(self.skeleton), config.dims).to(ranks.device)
        check_gradients(config, model, criterion, len(self.skeleton), ranks.device)
        self.precision = choose_precision(config.system.precision, ranks.device, model)
        self.step = TopDownStep(model, criterion, self.precision.dtype, config.system.compile)

    def describe(self) -> list[tuple[str, str]]:
        config, ranks = self.config, self.ranks
        precision = f"{self.precision.name}: {self.precision.reason}"
        model, criterion = (
            sum(p.numel() for p in part.parameters()) for part in (self.step.model, self.step.criterion)
        )
        pairs = len(self.skeleton.flip_pairs)
        return [
            ("device", f"{ranks.world_size} × {ranks.device.type}, backbone in {precision}"),
            ("persons", f"{self.order.num_persons} to train, {self.num_persons['validation']} to validate"),
            ("joints", f"{len(self.skeleton)}, of which {pairs} pairs of left and right"),
            (
                "model",
                f"{config.model.backbone.name}, {model / 1e6:.1f} M parameters; loss {config.loss.name}, "
                f"{criterion / 1e6:.3f} M parameters",
            ),
        ]

    def describe_person(self, number: int) -> str:
        table = self.dataset.table
        return f"annotation {table.person_ids[number]} in {table.image_path(number)}"

    def note_problems(self, problems: list[str]) -> None:
        self._bad_images.check(problems)

    def report_problems(self) -> None:
        self._bad_images.report(self.ranks.gather(self._bad_images.seen))

    def validate(self, model: nn.Module, criterion: nn.Module, batches: int | None = None) -> Validated:
        assert isinstance(criterion, Criterion)
        self.ranks.equalize_buffers(model)
        trained = TrainedModel(model, criterion, self.config, self.skeleton, self.ranks.device)
        evaluator = self.validation.evaluator
        metrics, _, poses = self.validation.run(trained, batches)
        picture = None
        if self.ranks.is_main:
            picture = evaluator.pictures(poses, trained.spread, self.config.eval.pictures)
        return Validated(metrics, evaluator.format_table(metrics), picture)

    @property
    def selecting(self) -> str:
        return selecting_number(self.config)

    def better(self, value: float | None, best: float | None) -> bool:
        return self.validation.evaluator.better(self.selecting, value, best)

    def header(self) -> dict[str, Any]:
        return header(self.config, self.skeleton)

    def read_checkpoint(self, path: Path) -> Resumed:
        checkpoint = load_checkpoint(path, whole=True)
        if checkpoint.skeleton.names != self.skeleton.names:
            raise InputError(
                f"--resume: {path} was trained on the joints {', '.join(checkpoint.skeleton.names)}, but the data now "
                f"have {', '.join(self.skeleton.names)}; start anew under another --name"
            )
        changed = differences(checkpoint.config, self.config)
        # A value of another number than before cannot be compared with.
        same = _selection(checkpoint.config) == _selection(self.config)
        return Resumed(vars(checkpoint), checkpoint.config.train, changed, same)

    def progress(self) -> dict[str, Any]:
        return {"precision": self.precision.name}

    def take_up(self, progress: dict[str, Any]) -> None:
        begun_in = progress.get("precision", self.precision.name)
        if self.config.system.precision == "auto" and begun_in != self.precision.name:
            self.precision = Precision(getattr(torch, begun_in), "the run began in it")
            self.step.precision = self.precision.dtype

    def write_card(self, checkpoint: Path, metrics: dict[str, Any], epoch: int) -> None:
        card = model_card(self.config, self.skeleton, metrics, epoch, self.num_persons)
        card_path(checkpoint).write_text(card, encoding="utf-8")

    @property
    def num_persons(self) -> dict[str, int]:
        return {"training": len(self.dataset.table), "validation": len(self.validation.table)}


def _selection(config: Config) -> tuple[str, Any]:
    """The number that chooses the best checkpoint, and what it is relative to."""
    name = selecting_number(config)
    if name.startswith("gt/PCK"):
        return name, config.eval.pck_reference
    return name, config.eval.nme_reference if name.startswith("gt/NME") else None
