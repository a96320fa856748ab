"""What a run keeps in its checkpoints, to go on as if it had not been stopped."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from rlepose.config.config import Config
from rlepose.config.names import differences
from rlepose.datasets.batches import TrainBatches
from rlepose.errors import InputError
from rlepose.losses import Criterion
from rlepose.models.pose_model import PoseModel
from rlepose.pose.skeleton import Skeleton
from rlepose.runtime.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_state,
    random_state,
    set_random_state,
)
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.precision import Precision
from rlepose.training.loss_sums import LossSums
from rlepose.training.weight_average import WeightAverage
from rlepose.validation.validators import selecting_number

log = logging.getLogger(__name__)


class RunState:
    """Weights, optimiser, random numbers, and how far the run is.

    epoch: finished epochs. seen: persons of the epoch after them that were trained on. steps, images: since the run
    began, whatever the batch size was. lines: of metrics.jsonl.
    rewinds: how often the run went back to a checkpoint.
    validated: the epoch of the last validation. best: the best value so far of the number that chooses `best.pt`.
    metrics: of the last validation. losses: of the steps of this epoch.
    precision: of the backbone, which a resumed run keeps.
    judged: the model and criterion that are validated and kept, the average of the trained ones where there is one.
    """

    def __init__(
        self,
        config: Config,
        skeleton: Skeleton,
        model: PoseModel,
        criterion: Criterion,
        optimizer: Optimizer,
        losses: LossSums,
        precision: Precision,
        average: WeightAverage | None = None,
    ) -> None:
        self.epoch = self.seen = self.steps = self.images = self.lines = self.rewinds = 0
        self.validated = 0
        self.best: float | None = None
        self.metrics: dict[str, Any] = {}
        self._config = config
        self._skeleton = skeleton
        self._trained = model, criterion
        self.judged = self._trained if average is None else (average.model, average.criterion)
        self._optimizer = optimizer
        self._losses = losses
        self.precision = precision

    def checkpoint(self, ranks: Ranks) -> Checkpoint:
        """How the run stands; it shares its tensors. Every rank has to call."""
        random_states = ranks.gather(random_state(ranks.device))
        progress = {
            "epoch": self.epoch,
            "seen": self.seen,
            "steps": self.steps,
            "images": self.images,
            "lines": self.lines,
            "rewinds": self.rewinds,
            "validated": self.validated,
            "best": self.best,
            "losses": self._losses.state(),
            "precision": self.precision.name,
        }
        kept = _weights(self.judged)
        return Checkpoint(
            config=self._config,
            skeleton=self._skeleton,
            model=kept["model"],
            criterion=kept["criterion"],
            unaveraged=None if self.judged is self._trained else _weights(self._trained),
            optimizer=self._optimizer.state_dict(),
            progress=progress,
            metrics=self.metrics,
            random_states=random_states,
        )

    def resume(self, path: Path, ranks: Ranks, batches: TrainBatches) -> None:
        """Go on from a file found whole. InputError where it is of other joints, weights or another optimiser,
        or further than this run shall come."""
        checkpoint = load_checkpoint(path, whole=True)
        progress = checkpoint.progress
        missing = {"epoch", "seen", "lines", "rewinds", "validated", "best", "losses"} - progress.keys()
        if missing:
            raise InputError(
                f"--resume: {path} does not tell {', '.join(sorted(missing))}, since another version of rlepose wrote "
                "it; start anew under another --name with model.init_from set to this file"
            )
        if checkpoint.skeleton.names != self._skeleton.names:
            raise InputError(
                f"--resume: {path} was trained on the joints {', '.join(checkpoint.skeleton.names)}, but the data now "
                f"have {', '.join(self._skeleton.names)}; start anew under another --name"
            )
        epoch, seen, epochs = progress["epoch"], progress["seen"], self._config.train.epochs
        begun = epoch + (seen > 0)
        within = f" and {seen} persons" if seen else ""
        if begun > epochs:
            raise InputError(
                f"--resume: train.epochs={epochs}, but {path} has {epoch}{within} done; set it to {begun} or more, or "
                "start anew under another --name"
            )
        size, size_now = checkpoint.config.train.batch_size, self._config.train.batch_size
        if seen and size != size_now:
            raise InputError(
                f"--resume: {path} was left in the middle of an epoch of steps of {size} persons, which steps of "
                f"{size_now} cannot go on with; set train.batch_size={size} until the epoch's end"
            )
        changed = differences(checkpoint.config, self._config)
        if changed:
            log.warning("resuming with other options than before: %s", "; ".join(changed))
        kept = {"model": checkpoint.model, "criterion": checkpoint.criterion}
        for (model, criterion), weights in ((self.judged, kept), (self._trained, checkpoint.unaveraged or kept)):
            load_state(model, weights["model"], "model", path)
            load_state(criterion, weights["criterion"], "criterion", path)
        self._load_optimizer(checkpoint)
        self.epoch, self.seen, self.lines = epoch, seen, progress["lines"]
        steps = epoch * len(batches) + seen // batches.batch_size  # checkpoints of before they were counted
        self.steps = progress.get("steps", steps)
        self.images = progress.get("images", steps * batches.batch_size)
        self.rewinds = progress["rewinds"]
        self.validated, self.metrics = progress["validated"], checkpoint.metrics
        # A value of another number than before cannot be compared with.
        same_number = _selection(checkpoint.config) == _selection(self._config)
        self.best = progress["best"] if same_number else None
        self._losses.resume(progress["losses"])
        begun_in = progress.get("precision", self.precision.name)
        if self._config.system.precision == "auto" and begun_in != self.precision.name:
            self.precision = Precision(getattr(torch, begun_in), "the run began in it")
        if len(checkpoint.random_states) == ranks.world_size:
            set_random_state(checkpoint.random_states[ranks.rank], ranks.device)
        log.info("resuming after epoch %d of %d%s from %s", epoch, epochs, within, path)

    def _load_optimizer(self, checkpoint: Checkpoint) -> None:
        before, now = checkpoint.config.train.optimizer.name, self._config.train.optimizer.name
        if before != now:
            raise InputError(f"train.optimizer.name: the run was started with {before}; it cannot go on with {now}")
        groups = self._optimizer.param_groups
        options = [{k: v for k, v in group.items() if k not in ("params", "lr")} for group in groups]
        self._optimizer.load_state_dict(checkpoint.optimizer)
        # The state is the checkpoint's; decay and the like are this config's, as is the rate, which each step sets.
        for group, values in zip(self._optimizer.param_groups, options, strict=True):
            group.update(values)


def _selection(config: Config) -> tuple[str, Any]:
    """The number that chooses the best checkpoint, and what it is relative to."""
    name = selecting_number(config)
    if name.startswith("gt/PCK"):
        return name, config.eval.pck_reference
    return name, config.eval.nme_reference if name.startswith("gt/NME") else None


def _weights(modules: tuple[PoseModel, Criterion]) -> dict[str, dict[str, Any]]:
    model, criterion = modules
    return {"model": model.state_dict(), "criterion": criterion.state_dict()}
