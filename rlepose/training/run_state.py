"""The state of a run that its checkpoints store, so that a resumed run is bit-identical to an uninterrupted one."""

import logging
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from rlepose.errors import InputError
from rlepose.runtime.checkpoint_file import load_state, random_state, set_random_state
from rlepose.runtime.distributed import Ranks
from rlepose.training.loss_sums import LossSums
from rlepose.training.options import TrainConfig
from rlepose.training.task import Order, Resumed, StepModule
from rlepose.training.weight_average import WeightAverage

log = logging.getLogger(__name__)


class RunState:
    """Weights, optimiser, random states, and progress.

    epoch: number of finished epochs. seen: persons used in the current epoch. steps, images: since the start of the
    run, whatever the batch size was. lines: number of lines in metrics.jsonl.
    rewinds: number of times that the run went back to a checkpoint.
    validated: epoch of the last validation. best: best value so far of the metric that selects `best.pt`.
    derived: what checkpoints store of the weights' last validation, if they have not changed since. metrics: of the
    last validation. losses: of the steps of this epoch.
    judged: the model and criterion that are validated and kept: their average over training, if there is one.
    """

    def __init__(
        self,
        options: TrainConfig,
        step: StepModule,
        optimizer: Optimizer,
        losses: LossSums,
        average: WeightAverage | None = None,
    ) -> None:
        self._options = options
        self.epoch = self.seen = self.steps = self.persons = self.lines = self.rewinds = 0
        self.validated = 0
        self.best: float | None = None
        self.metrics: dict[str, Any] = {}
        self.derived: dict[str, Any] = {}
        self._trained = step.model, step.criterion
        self.judged = self._trained if average is None else (average.model, average.criterion)
        self._optimizer = optimizer
        self._losses = losses

    def tree(self, ranks: Ranks) -> dict[str, Any]:
        """Return the state as the tree of a checkpoint, which shares its tensors. Collective: every rank must call."""
        progress = {
            "epoch": self.epoch,
            "seen": self.seen,
            "steps": self.steps,
            "persons": self.persons,
            "lines": self.lines,
            "rewinds": self.rewinds,
            "validated": self.validated,
            "best": self.best,
            "losses": self._losses.state(),
        }
        return {
            **_weights(self.judged),
            **self.derived,
            "unaveraged": None if self.judged is self._trained else _weights(self._trained),
            "optimizer": self._optimizer.state_dict(),
            "progress": progress,
            "metrics": self.metrics,
            "random_states": ranks.gather(random_state(ranks.device)),
        }

    def resume(self, path: Path, before: Resumed, ranks: Ranks, order: Order) -> None:
        """Continue from a checkpoint. InputError if its weights or optimiser differ from this run's, or if it has more
        epochs than this run."""
        progress, options = before.tree["progress"], self._options
        missing = {"epoch", "seen", "lines", "rewinds", "validated", "best", "losses"} - progress.keys()
        if missing:
            raise InputError(
                f"--resume: {path} lacks {', '.join(sorted(missing))}, because another version of rlepose wrote it; "
                "start anew under another --name with model.init_from set to this file"
            )
        epoch, seen, epochs = progress["epoch"], progress["seen"], options.epochs
        begun = epoch + (seen > 0)
        within = f" and {seen} persons" if seen else ""
        if begun > epochs:
            raise InputError(
                f"--resume: train.epochs={epochs}, but {path} has already finished {epoch} epochs{within}; set it "
                f"to {begun} or more, or start anew under another --name"
            )
        size, size_now = before.options.batch_size, options.batch_size
        if seen and size != size_now:
            raise InputError(
                f"--resume: {path} is in the middle of an epoch with train.batch_size={size}, which cannot continue "
                f"with {size_now}; set train.batch_size={size} until the end of the epoch"
            )
        if before.changed:
            log.warning("resuming with changed options: %s", "; ".join(before.changed))
        if before.changed_data:
            log.warning(
                "resuming on other data than the run had so far: %s; restore these files unless the change is intended",
                before.changed_data,
            )
        kept = {name: before.tree[name] for name in ("model", "criterion")}
        trained = before.tree["unaveraged"] or kept
        for (model, criterion), weights in ((self.judged, kept), (self._trained, trained)):
            load_state(model, weights["model"], "model", path)
            load_state(criterion, weights["criterion"], "criterion", path)
        self._load_optimizer(before)
        self.epoch, self.seen, self.lines = epoch, seen, progress["lines"]
        steps = epoch * len(order) + seen // order.batch_size  # for checkpoints of versions that did not count steps
        self.steps = progress.get("steps", steps)
        self.persons = progress.get("persons", progress.get("images", steps * order.batch_size))
        self.rewinds = progress["rewinds"]
        self.validated, self.metrics = progress["validated"], before.tree["metrics"]
        self.best = progress["best"] if before.same_selection else None
        self._losses.resume(progress["losses"])
        random_states = before.tree["random_states"]
        if len(random_states) == ranks.world_size:
            set_random_state(random_states[ranks.rank], ranks.device)
        log.info("resuming after epoch %d of %d%s from %s", epoch, epochs, within, path)

    def _load_optimizer(self, before: Resumed) -> None:
        old, now = before.options.optimizer.name, self._options.optimizer.name
        if old != now:
            raise InputError(f"train.optimizer.name: the run was started with {old}, not {now}; set it back to that")
        groups = self._optimizer.param_groups
        options = [{k: v for k, v in group.items() if k not in ("params", "lr")} for group in groups]
        self._optimizer.load_state_dict(before.tree["optimizer"])
        # The state comes from the checkpoint, options such as weight decay from this config; each step sets the rate.
        for group, values in zip(self._optimizer.param_groups, options, strict=True):
            group.update(values)


def _weights(modules: tuple[nn.Module, nn.Module]) -> dict[str, Any]:
    model, criterion = modules
    return {"model": model.state_dict(), "criterion": criterion.state_dict()}
