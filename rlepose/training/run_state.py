"""What a run keeps in its checkpoints, to go on as if it had not been stopped."""

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
    """Weights, optimiser, random numbers, and how far the run is.

    epoch: finished epochs. seen: persons of the epoch after them that were trained on. steps, images: since the run
    began, whatever the batch size was. lines: of metrics.jsonl.
    rewinds: how often the run went back to a checkpoint.
    validated: the epoch of the last validation. best: the best value so far of the number that chooses `best.pt`.
    metrics: of the last validation. losses: of the steps of this epoch.
    judged: the model and criterion that are validated and kept, the average of the trained ones where there is one.
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
        self.epoch = self.seen = self.steps = self.images = self.lines = self.rewinds = 0
        self.validated = 0
        self.best: float | None = None
        self.metrics: dict[str, Any] = {}
        self._trained = step.model, step.criterion
        self.judged = self._trained if average is None else (average.model, average.criterion)
        self._optimizer = optimizer
        self._losses = losses

    def tree(self, ranks: Ranks) -> dict[str, Any]:
        """How the run stands, for a checkpoint's tree; it shares its tensors. Every rank has to call."""
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
        }
        return {
            **_weights(self.judged),
            "unaveraged": None if self.judged is self._trained else _weights(self._trained),
            "optimizer": self._optimizer.state_dict(),
            "progress": progress,
            "metrics": self.metrics,
            "random_states": ranks.gather(random_state(ranks.device)),
        }

    def resume(self, path: Path, before: Resumed, ranks: Ranks, order: Order) -> None:
        """Go on from a checkpoint. InputError where it is of other weights or another optimiser, or further than this
        run shall come."""
        progress, options = before.tree["progress"], self._options
        missing = {"epoch", "seen", "lines", "rewinds", "validated", "best", "losses"} - progress.keys()
        if missing:
            raise InputError(
                f"--resume: {path} does not tell {', '.join(sorted(missing))}, since another version of rlepose wrote "
                "it; start anew under another --name with model.init_from set to this file"
            )
        epoch, seen, epochs = progress["epoch"], progress["seen"], options.epochs
        begun = epoch + (seen > 0)
        within = f" and {seen} persons" if seen else ""
        if begun > epochs:
            raise InputError(
                f"--resume: train.epochs={epochs}, but {path} has {epoch}{within} done; set it to {begun} or more, or "
                "start anew under another --name"
            )
        size, size_now = before.options.batch_size, options.batch_size
        if seen and size != size_now:
            raise InputError(
                f"--resume: {path} was left in the middle of an epoch of steps of {size} persons, which steps of "
                f"{size_now} cannot go on with; set train.batch_size={size} until the epoch's end"
            )
        if before.changed:
            log.warning("resuming with other options than before: %s", "; ".join(before.changed))
        kept = {name: before.tree[name] for name in ("model", "criterion")}
        trained = before.tree["unaveraged"] or kept
        for (model, criterion), weights in ((self.judged, kept), (self._trained, trained)):
            load_state(model, weights["model"], "model", path)
            load_state(criterion, weights["criterion"], "criterion", path)
        self._load_optimizer(before)
        self.epoch, self.seen, self.lines = epoch, seen, progress["lines"]
        steps = epoch * len(order) + seen // order.batch_size  # checkpoints of before they were counted
        self.steps = progress.get("steps", steps)
        self.images = progress.get("images", steps * order.batch_size)
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
            raise InputError(f"train.optimizer.name: the run was started with {old}; it cannot go on with {now}")
        groups = self._optimizer.param_groups
        options = [{k: v for k, v in group.items() if k not in ("params", "lr")} for group in groups]
        self._optimizer.load_state_dict(before.tree["optimizer"])
        # The state is the checkpoint's; decay and the like are this config's, as is the rate, which each step sets.
        for group, values in zip(self._optimizer.param_groups, options, strict=True):
            group.update(values)


def _weights(modules: tuple[nn.Module, nn.Module]) -> dict[str, Any]:
    model, criterion = modules
    return {"model": model.state_dict(), "criterion": criterion.state_dict()}
