"""The training loop: setup, fit, validate, save; read it from top to bottom."""

import contextlib
import logging
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from rlepose.errors import DivergedError, Stopped
from rlepose.runtime.checkpoint_file import card_path, newest_whole
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.prefetch import on_device
from rlepose.runtime.run_log import RunLog
from rlepose.training.announcement import announce
from rlepose.training.loss_sums import LossSums
from rlepose.training.nonfinite import NonFinite
from rlepose.training.optimization import TensorClipping, build_optimizer, learning_rate_factor, skip_next_step
from rlepose.training.options import TrainConfig
from rlepose.training.profiling import StepTimes, profile_training
from rlepose.training.run_state import RunState
from rlepose.training.saving import BackgroundSaver
from rlepose.training.signals import StopSignals
from rlepose.training.task import Batch, Losses, Task
from rlepose.training.weight_average import WeightAverage

log = logging.getLogger(__name__)

_TRIED_BATCHES = 2


class Trainer:
    """One run of a task on all ranks.

    options: training options. experiment: folder of checkpoints and logs. timeout_s: how long a rank waits for another
    one. resume: continue from the experiment's newest complete checkpoint.
    """

    def __init__(
        self,
        task: Task,
        options: TrainConfig,
        experiment: Experiment,
        ranks: Ranks,
        timeout_s: float,
        resume: bool = False,
    ) -> None:
        self.task = task
        self.options = options
        self.experiment = experiment
        self.ranks = ranks
        self.saver = BackgroundSaver()
        self.nonfinite = NonFinite(task.describe_person, ranks, experiment.last, self.saver)
        self.stop = StopSignals(ranks, timeout_s)
        torch.manual_seed(options.seed + ranks.rank)  # so that dropout differs between ranks
        step = task.step
        self.step_module: nn.Module = step
        if ranks.world_size > 1:
            device_ids = [ranks.device] if ranks.device.type == "cuda" else None
            self.step_module = DistributedDataParallel(step, device_ids=device_ids)
        self.parameters = list(step.parameters())
        self.optimizer = build_optimizer(options.optimizer, self.parameters)
        limit, by_tensor = options.clip_grad_norm, options.clip_grad_by == "tensor"
        self.clip_each_tensor = TensorClipping(step, limit) if limit is not None and by_tensor else None
        self.losses = LossSums(ranks, step.term_names)
        decay = options.average_decay
        self.average = None if decay is None else WeightAverage(step.model, step.criterion, decay)
        self.state = RunState(options, step, self.optimizer, self.losses, self.average)
        if resume:
            self._take_up_newest()

    def fit(self) -> dict[str, Any]:
        """Train to the last epoch and return the metrics of the last validation.

        Raises Stopped after a signal, when the current step is finished and saved.
        """
        announce(self.task, self.options, self.experiment, self.ranks)
        if not self.state.steps:
            self._try_validation()
        run_log = RunLog(self.experiment.folder, self.ranks.is_main, self.state.lines, self.state.steps)
        epochs, size = self.options.epochs, self.task.order.batch_size
        progress = tqdm(
            total=self.state.persons + (epochs - self.state.epoch) * len(self.task.order) * size - self.state.seen,
            initial=self.state.persons,
            unit="person",
            disable=None if self.ranks.is_main else True,
        )
        try:
            if not self.state.steps and self.options.on_nonfinite == "rewind":
                self._save_last(run_log)  # for a rewind in the first epoch
            # Saved before validation, so that an error there does not lose the epoch; resuming starts with validation.
            while True:
                if self._validation_is_due():
                    with self.stop.at_once():
                        self._validate(run_log)
                    self._save_last(run_log)
                if self.state.epoch >= epochs:
                    break
                try:
                    self._train_epoch(run_log, progress)
                    self.state.epoch, self.state.seen = self.state.epoch + 1, 0
                    self._save_last(run_log)
                    if self.options.keep_every and self.state.epoch % self.options.keep_every == 0:
                        self._save(run_log, self.experiment.kept(self.state.epoch))
                except DivergedError as error:
                    run_log = self._rewind(run_log, error)
                    progress.n = self.state.persons
                self._stop_if_agreed()
        finally:
            progress.close()
            run_log.close()
            self.saver.wait()
        return self.state.metrics

    def _validation_is_due(self) -> bool:
        last = self.state.epoch >= self.options.epochs
        due = self.state.epoch % self.options.validate_every == 0
        return self.state.epoch > self.state.validated and (due or last)

    def _save(self, run_log: RunLog, path: Path, previous: Path | None = None) -> None:
        self.nonfinite.check_weights([*self.parameters, *self.task.step.model.buffers()], self.state.steps)
        self.state.lines = run_log.lines
        tree = self.tree()
        if self.ranks.is_main:
            self.saver.save(path, tree, previous)

    def tree(self) -> dict[str, Any]:
        """Return the run's state as a checkpoint stores it; shares its tensors. Collective: every rank must call."""
        tree = self.task.header() | self.state.tree(self.ranks)
        tree["progress"] |= self.task.progress()
        return tree

    def _save_last(self, run_log: RunLog) -> None:
        self._save(run_log, self.experiment.last, self.experiment.previous)

    def _rewind(self, run_log: RunLog, error: DivergedError) -> RunLog:
        """Go back to the last checkpoint and reorder the persons; return the log, truncated to that state.

        Raises the error again if rewinding is not enabled or has reached its limit.
        """
        options, rewinds = self.options, self.state.rewinds + 1
        if options.on_nonfinite != "rewind" or rewinds > options.max_rewinds:
            raise error
        log.warning("%s; going back to the last checkpoint, rewind %d of %d", error, rewinds, options.max_rewinds)
        run_log.close()
        self.saver.wait()
        self._take_up_newest()
        self.state.rewinds = rewinds
        run_log = RunLog(self.experiment.folder, self.ranks.is_main, self.state.lines, self.state.steps)
        self._save_last(run_log)  # so that the rewind counts even if the run dies now
        return run_log

    def _take_up_newest(self) -> None:
        path = self.ranks.on_main(self._newest)
        before = self.task.read_checkpoint(path)
        self.state.resume(path, before, self.ranks, self.task.order)
        self.nonfinite.changed_data = before.changed_data
        self.task.take_up(before.tree["progress"])

    def _newest(self) -> Path:
        """Return the newest complete checkpoint. Removes a damaged one, lest the next save overwrite the good one."""
        last, previous = self.experiment.last, self.experiment.previous
        path = newest_whole((last, previous))
        if path == previous:
            last.unlink(missing_ok=True)
        return path

    def _stop_if_agreed(self) -> None:
        if self.stop.agreed:
            self.saver.wait()
            log.info("received a signal: stopped after step %d, saved %s", self.state.steps, self.experiment.last)
            raise Stopped

    def _train_epoch(self, run_log: RunLog, progress: "tqdm[Any]") -> None:
        """Take the remaining steps of an epoch: all, or the rest of an interrupted one."""
        task, options, order = self.task, self.options, self.task.order
        steps, size = len(order), order.batch_size
        first = self.state.seen // size
        order.epoch, order.first_step, order.attempt = self.state.epoch, first, self.state.rewinds
        if not first:
            self.losses.start_epoch()
        self.step_module.train()
        self.state.derived = {}
        epoch_started = started = time.perf_counter()
        timed = first
        rate = 0.0
        batches = on_device(self.stop.until_agreed(task.loader), self.ranks.device)
        for done, (batch, moved) in enumerate(batches, first + 1):
            task.note_problems(batch.problems)
            epoch = self.state.epoch + (done - 1) / steps
            rate = options.optimizer.lr * learning_rate_factor(options.schedule, epoch, options.epochs, 1 / steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            with self.stop.step():
                self.losses.add(self.step(moved))
            self.state.seen = done * size
            self.state.steps += 1
            self.state.persons += size
            if self.average is not None:
                self.average.update(self.state.steps)
            progress.update(size)
            if done % options.log_every == 0 or done == steps:
                # The only place where the host waits for the device.
                losses = self._losses_since_last_entry()
                if losses:
                    progress.set_postfix(epoch=self.state.epoch + 1, loss=f"{losses['train/loss']:.3f}")
                    speed = (done - timed) * size / (time.perf_counter() - started)
                    values = losses | {"train/lr": rate, "train/persons_per_second": speed}
                    run_log.scalars(values, self.state.steps, self.state.persons, self.state.epoch + done / steps)
                started, timed = time.perf_counter(), done
            due = options.save_every is not None and done % options.save_every == 0
            if done < steps and due and not self.stop.agreed:
                self._save_last(run_log)
        if self.state.seen < steps * size:  # all agreed to stop, after a step or while the next batch was waited for
            self._save_last(run_log)
            self._stop_if_agreed()
        loss = self.losses.epoch_mean()
        if loss is None:
            raise self.nonfinite.diverged(f"no step of epoch {self.state.epoch + 1} had a finite gradient")
        task.report_problems()
        log.info(
            "epoch %d/%d  loss %.3f  lr %.2e  %.0f persons/s",
            self.state.epoch + 1,
            options.epochs,
            loss,
            rate,
            (steps - first) * size / (time.perf_counter() - epoch_started),
        )

    def _losses_since_last_entry(self) -> dict[str, float]:
        """Return means over the steps since the last log entry, by log name; empty if all steps were skipped."""
        sums = self.losses.end_interval()
        self.nonfinite.report_skipped(sums.steps - sums.taken, self.state.steps)
        if not sums.taken:
            return {}
        means = {"loss": sums.loss / sums.taken} | {name: value / sums.taken for name, value in sums.terms.items()}
        self.nonfinite.check_loss(means["loss"], self.state.steps)
        return {f"train/{name}": mean for name, mean in means.items()}

    def step(self, batch: Batch) -> Tensor:
        """Update the weights with this rank's part of the global batch, which is on the device.

        -> (2 + T,): mean loss, 1, and the mean of each term; zeros if the step was skipped. Nothing here waits for the
        device: the host needs no value from it.
        """
        train, parts = self.options, self.options.accumulate
        total = torch.zeros((), device=self.ranks.device)
        terms = torch.zeros(len(self.task.step.term_names), device=self.ranks.device)
        self.optimizer.zero_grad(set_to_none=True)
        for number, part in enumerate(batch.split(parts)):
            # The ranks' gradients are averaged once, with the last part.
            module, alone = self.step_module, contextlib.nullcontext()
            with module.no_sync() if number < parts - 1 and isinstance(module, DistributedDataParallel) else alone:
                losses: Losses = module(part)
                loss = losses.per_person.mean() / parts
                loss.backward()  # type: ignore[no-untyped-call]
            self.nonfinite.see(losses.per_person.detach(), part.persons)
            total += loss.detach()
            for place, name in enumerate(self.task.step.term_names):
                terms[place] += losses.terms[name].mean() / parts
        taken = torch.ones_like(total)
        largest_norm = None if self.clip_each_tensor is not None else train.clip_grad_norm
        if train.on_nonfinite == "skip" or largest_norm is not None:
            # The same on all ranks, since DDP has averaged the gradient.
            norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
            if train.on_nonfinite == "skip":
                taken = norm.isfinite().to(total.dtype)
                skip_next_step(self.optimizer, 1 - taken)
            if largest_norm is not None:
                nn.utils.clip_grads_with_norm_(self.parameters, largest_norm, norm)
        if self.clip_each_tensor is not None:
            self.clip_each_tensor()
        self.optimizer.step()
        return torch.cat([torch.stack([total, taken]), terms]).where(taken > 0, 0)

    def _try_validation(self) -> None:
        """Validate on the first batches and write a card of that, so that errors show now and not after an epoch.

        Nothing of it is kept. A signal takes effect after the first step, which leaves a checkpoint to resume from.
        """
        metrics = self.task.validate(*self.state.judged, batches=_TRIED_BATCHES).metrics
        self.task.card(metrics, self.state.epoch)

    def _validate(self, run_log: RunLog) -> None:
        metrics, table, picture, self.state.derived = self.task.validate(*self.state.judged)
        self.state.metrics = metrics
        run_log.scalars(metrics, self.state.steps, self.state.persons, self.state.epoch)
        if picture is not None:
            run_log.picture("validation", picture, self.state.steps)
        log.info("validation after epoch %d\n%s", self.state.epoch, table)
        self.state.validated = self.state.epoch
        selecting = self.task.selecting
        value = None if selecting == "last" else metrics[selecting]
        if selecting == "last" or self.task.better(value, self.state.best):
            self.state.best = value
            self._save(run_log, self.experiment.best)
            if self.ranks.is_main:
                card = self.task.card(metrics, self.state.epoch)
                card_path(self.experiment.best).write_text(card, encoding="utf-8")

    def profile(self, steps: int) -> StepTimes:
        """Measure what this many steps wait for; nothing is saved. Collective: every rank must call."""
        self.step_module.train()
        return profile_training(self.task, self.step, steps, self.experiment.trace, self.ranks)
