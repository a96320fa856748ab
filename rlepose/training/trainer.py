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

from rlepose.config.config import Config
from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.crops import BadImages, make_loader
from rlepose.datasets.of_config import persons_with_depth, training_dataset, use_crop_cache
from rlepose.errors import DivergedError, Stopped
from rlepose.losses import build_criterion
from rlepose.models.pose_model import network_of
from rlepose.runtime.checkpoint import newest_whole
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.model_card import card_path, model_card
from rlepose.runtime.origin import origin
from rlepose.runtime.precision import choose_precision
from rlepose.runtime.prefetch import on_device
from rlepose.runtime.run_log import RunLog, log_to_file
from rlepose.runtime.trained_model import TrainedModel
from rlepose.training.announcement import announce
from rlepose.training.checks import (
    check_batch,
    check_gradients,
    check_input_size,
    check_joints,
    check_persons,
    check_selection,
)
from rlepose.training.loss_sums import LossSums
from rlepose.training.nonfinite import NonFinite
from rlepose.training.optimization import TensorClipping, build_optimizer, learning_rate_factor, skip_next_step
from rlepose.training.profiling import profile_training
from rlepose.training.run_state import RunState
from rlepose.training.saving import BackgroundSaver
from rlepose.training.signals import StopSignals
from rlepose.training.train_step import TrainStep, check_compile
from rlepose.training.weight_average import WeightAverage
from rlepose.validation.validations import build_validation, selecting_number

log = logging.getLogger(__name__)


class Trainer:
    """One run of one config on all ranks."""

    def __init__(self, config: Config, ranks: Ranks, resume: bool = False) -> None:
        self.config = config
        self.ranks = ranks
        self.experiment = Experiment.of(config)
        check_batch(config, ranks.world_size)
        check_compile(config.system.compile, ranks.device)

        data = config.data
        self.validation = build_validation(config, "gt", ranks)
        self.dataset = training_dataset(config)
        self.skeleton, table, seed = self.dataset.skeleton, self.dataset.table, config.train.seed
        check_joints(data, self.skeleton, self.validation.evaluator)
        check_persons(data, table, self.validation)
        check_selection(config, self.validation.evaluator)
        use_crop_cache(self.dataset, config)
        divisor = ranks.world_size * config.train.accumulate
        count = persons_with_depth(table)
        self.batches = TrainBatches(
            count, config.train.batch_size, seed, ranks.rank, ranks.world_size, divisor, num_extra=len(table) - count
        )
        self.loader = make_loader(self.dataset, self.batches, config.system.workers, ranks.device.type == "cuda")
        self.bad_images = BadImages(data.on_bad_image)
        self.saver = BackgroundSaver()
        self.nonfinite = NonFinite(table, ranks, self.experiment.last, self.saver)
        self.stop = StopSignals(ranks, config.system.timeout_s)

        torch.manual_seed(seed)  # equal initial weights on all ranks
        # A checkpoint fills the model anyway: no weights to fetch.
        model = network_of(config, len(self.skeleton), pretrained=not resume)
        self.model = model.to(ranks.device)
        check_input_size(self.model, data.input_size_hw, ranks.device)
        if config.system.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.criterion = build_criterion(config.loss, len(self.skeleton), config.dims).to(ranks.device)
        check_gradients(config, self.model, self.criterion, len(self.skeleton), ranks.device)
        torch.manual_seed(seed + ranks.rank)  # dropout differs between the ranks
        precision = choose_precision(config.system.precision, ranks.device, self.model)
        step = TrainStep(self.model, self.criterion, precision.dtype, config.system.compile)
        self.step_module: nn.Module = step
        if ranks.world_size > 1:
            device_ids = [ranks.device] if ranks.device.type == "cuda" else None
            self.step_module = DistributedDataParallel(step, device_ids=device_ids)
        self.parameters = list(step.parameters())
        self.optimizer = build_optimizer(config.train.optimizer, self.parameters)
        limit, by_tensor = config.train.clip_grad_norm, config.train.clip_grad_by == "tensor"
        self.clip_each_tensor = TensorClipping(step, limit) if limit is not None and by_tensor else None
        self.losses = LossSums(ranks)
        decay = config.train.average_decay
        self.average = None if decay is None else WeightAverage(self.model, self.criterion, decay)
        self.state = RunState(
            config, self.skeleton, self.model, self.criterion, self.optimizer, self.losses, precision, self.average
        )
        if resume:
            self._take_up_newest()
            step.precision = self.state.precision.dtype

    @property
    def num_persons(self) -> dict[str, int]:
        """How many are trained and validated on."""
        return {"training": len(self.dataset.table), "validation": len(self.validation.table)}

    def fit(self) -> dict[str, Any]:
        """Train to the last epoch; -> the metrics of the last validation.

        Raises Stopped after a signal, when the step that it came in is done and saved.
        """
        announce(
            self.config,
            self.ranks,
            self.batches,
            len(self.validation.table),
            self.skeleton,
            self.model,
            self.criterion,
            self.state.precision,
        )
        run_log = RunLog(self.experiment.folder, self.ranks.is_main, self.state.lines, self.state.steps)
        epochs, size = self.config.train.epochs, self.batches.batch_size
        progress = tqdm(
            total=self.state.images + (epochs - self.state.epoch) * len(self.batches) * size - self.state.seen,
            initial=self.state.images,
            unit="img",
            disable=None if self.ranks.is_main else True,
        )
        try:
            if not self.state.steps and self.config.train.on_nonfinite == "rewind":
                self._save_last(run_log)  # to go back to in the first epoch
            # Saved before it is validated: what goes wrong there does not cost the epoch; resuming begins with it.
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
                    if self.config.train.keep_every and self.state.epoch % self.config.train.keep_every == 0:
                        self._save(run_log, self.experiment.kept(self.state.epoch))
                except DivergedError as error:
                    run_log = self._rewind(run_log, error)
                    progress.n = self.state.images
                self._stop_if_agreed()
        finally:
            progress.close()
            run_log.close()
            self.saver.wait()
        return self.state.metrics

    def _validation_is_due(self) -> bool:
        last = self.state.epoch >= self.config.train.epochs
        due = self.state.epoch % self.config.train.validate_every == 0
        return self.state.epoch > self.state.validated and (due or last)

    def _save(self, run_log: RunLog, path: Path, previous: Path | None = None) -> None:
        self.nonfinite.check_weights([*self.parameters, *self.model.buffers()], self.state.steps)
        self.state.lines = run_log.lines
        checkpoint = self.state.checkpoint(self.ranks)
        if self.ranks.is_main:
            self.saver.save(path, checkpoint, previous)

    def _save_last(self, run_log: RunLog) -> None:
        self._save(run_log, self.experiment.last, self.experiment.previous)

    def _rewind(self, run_log: RunLog, error: DivergedError) -> RunLog:
        """Go back to the last checkpoint, for another order of the persons; -> the log, as it was then.

        Raises the error again where that is not asked for, or was tried often enough.
        """
        train, rewinds = self.config.train, self.state.rewinds + 1
        if train.on_nonfinite != "rewind" or rewinds > train.max_rewinds:
            raise error
        log.warning("%s; going back to the last checkpoint, %d of %d times", error, rewinds, train.max_rewinds)
        run_log.close()
        self.saver.wait()
        self._take_up_newest()
        self.state.rewinds = rewinds
        run_log = RunLog(self.experiment.folder, self.ranks.is_main, self.state.lines, self.state.steps)
        self._save_last(run_log)  # a run that dies now does not try once more than it may
        return run_log

    def _take_up_newest(self) -> None:
        self.state.resume(self.ranks.on_main(self._newest), self.ranks, self.batches)

    def _newest(self) -> Path:
        """The newest whole checkpoint. A damaged one goes: the next save would put it in the place of the whole one."""
        last, previous = self.experiment.last, self.experiment.previous
        path = newest_whole((last, previous))
        if path == previous:
            last.unlink(missing_ok=True)
        return path

    def _stop_if_agreed(self) -> None:
        if self.stop.agreed:
            self.saver.wait()
            log.info("a signal came: stopped after step %d, %s is saved", self.state.steps, self.experiment.last)
            raise Stopped

    def _train_epoch(self, run_log: RunLog, progress: "tqdm[Any]") -> None:
        """The steps of an epoch that are still to do: all, or the rest of one that was left in the middle."""
        train, steps, size = self.config.train, len(self.batches), self.batches.batch_size
        first = self.state.seen // size
        self.batches.epoch, self.batches.first_step, self.batches.attempt = self.state.epoch, first, self.state.rewinds
        if not first:
            self.losses.start_epoch()
        self.step_module.train()
        epoch_started = started = time.perf_counter()
        timed = first
        rate = 0.0
        for done, (batch, tensors) in enumerate(on_device(self.loader, self.ranks.device), first + 1):
            self.bad_images.check(batch["problem"])
            epoch = self.state.epoch + (done - 1) / steps
            rate = train.optimizer.lr * learning_rate_factor(train.schedule, epoch, train.epochs, 1 / steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            with self.stop.step():
                self.losses.add(self.step(tensors))
            self.state.seen = done * size
            self.state.steps += 1
            self.state.images += size
            if self.average is not None:
                self.average.update(self.state.steps)
            progress.update(size)
            if done % train.log_every == 0 or done == steps:
                # Here alone the host waits for the device.
                loss = self._loss_since_last_entry()
                if loss is not None:
                    progress.set_postfix(epoch=self.state.epoch + 1, loss=f"{loss:.3f}")
                    speed = (done - timed) * size / (time.perf_counter() - started)
                    values = {"train/loss": loss, "train/lr": rate, "train/images_per_second": speed}
                    run_log.scalars(values, self.state.steps, self.state.images, self.state.epoch + done / steps)
                started, timed = time.perf_counter(), done
            due = train.save_every is not None and done % train.save_every == 0
            if done < steps and (due or self.stop.agreed):
                self._save_last(run_log)
                self._stop_if_agreed()
        loss = self.losses.epoch_mean()
        if loss is None:
            raise self.nonfinite.diverged(f"no step of epoch {self.state.epoch + 1} had a finite gradient")
        self.bad_images.report(self.ranks.gather(self.bad_images.seen))
        log.info(
            "epoch %d/%d  loss %.3f  lr %.2e  %.0f images/s",
            self.state.epoch + 1,
            train.epochs,
            loss,
            rate,
            (steps - first) * size / (time.perf_counter() - epoch_started),
        )

    def _loss_since_last_entry(self) -> float | None:
        """Mean loss of the steps taken since the log's last entry; None if all were skipped."""
        sums = self.losses.end_interval()
        self.nonfinite.report_skipped(sums.steps - sums.taken, self.state.steps)
        if not sums.taken:
            return None
        loss = sums.loss / sums.taken
        self.nonfinite.check_loss(loss, self.state.steps)
        return loss

    def step(self, batch: dict[str, Tensor]) -> Tensor:
        """One update from this rank's part of the global batch; -> its mean loss and 1, or 0 and 0 if it was skipped.

        Nothing here waits for the device: what the host decides by is known beforehand.
        """
        train, parts = self.config.train, self.config.train.accumulate
        inputs = [batch[name].chunk(parts) for name in ("image", "target", "weight", "index")]
        total = torch.zeros((), device=self.ranks.device)
        self.optimizer.zero_grad(set_to_none=True)
        for number, (image, target, weight, persons) in enumerate(zip(*inputs, strict=True)):
            # The ranks' gradients are averaged once, with the last part.
            module, alone = self.step_module, contextlib.nullcontext()
            with module.no_sync() if number < parts - 1 and isinstance(module, DistributedDataParallel) else alone:
                losses = module(image, target, weight)
                loss = losses.mean() / parts
                loss.backward()
            self.nonfinite.see(losses.detach(), persons)
            total += loss.detach()
        taken = torch.ones_like(total)
        largest_norm = None if self.clip_each_tensor is not None else train.clip_grad_norm
        if train.on_nonfinite == "skip" or largest_norm is not None:
            # Equal on all ranks, which have the same gradient by now.
            norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
            if train.on_nonfinite == "skip":
                taken = norm.isfinite().to(total.dtype)
                skip_next_step(self.optimizer, 1 - taken)
            if largest_norm is not None:
                nn.utils.clip_grads_with_norm_(self.parameters, largest_norm, norm)
        if self.clip_each_tensor is not None:
            self.clip_each_tensor()
        self.optimizer.step()
        return torch.stack([total.where(taken > 0, 0), taken])

    def _validate(self, run_log: RunLog) -> None:
        model, criterion = self.state.judged
        self.ranks.equalize_buffers(model)
        trained = TrainedModel(model, criterion, self.config, self.skeleton, self.ranks.device)
        evaluator = self.validation.evaluator
        self.state.metrics, _, poses = self.validation.run(trained)
        run_log.scalars(self.state.metrics, self.state.steps, self.state.images, self.state.epoch)
        if self.ranks.is_main:
            picture = evaluator.pictures(poses, trained.spread, self.config.eval.pictures)
            if picture is not None:
                run_log.picture("validation", picture, self.state.steps)
        log.info("validation after epoch %d\n%s", self.state.epoch, evaluator.format_table(self.state.metrics))
        self.state.validated = self.state.epoch
        select_by = selecting_number(self.config)
        value = None if select_by == "last" else self.state.metrics[select_by]
        if select_by == "last" or evaluator.better(select_by, value, self.state.best):
            self.state.best = value
            self._save(run_log, self.experiment.best)
            if self.ranks.is_main:
                card = model_card(self.config, self.skeleton, self.state.metrics, self.state.epoch, self.num_persons)
                card_path(self.experiment.best).write_text(card, encoding="utf-8")


def train(
    config: Config,
    ranks: Ranks,
    resume: bool = False,
    overwrite: bool = False,
    requeue: bool = False,
    profile: int | None = None,
) -> dict[str, Any]:
    """Run a config in its experiment folder; -> the last validation's metrics.

    Everything is checked before an earlier run's files are touched. requeue: resume if there is a checkpoint to go on
    from, else begin. profile: do not train, but tell what this many steps wait for.
    """
    experiment = Experiment.of(config)
    ranks.on_main(lambda: experiment.check(resume, overwrite, requeue))
    with contextlib.ExitStack() as until_the_end:
        ranks.on_main(lambda: until_the_end.enter_context(experiment.alone()))
        if requeue:  # asked here, where no other run can save any more
            resume = ranks.on_main(experiment.has_checkpoint)
        trainer = Trainer(config, ranks, resume)
        ranks.on_main(lambda: experiment.open(config, resume))
        if ranks.is_main:
            log_to_file(experiment.log_file)
        if profile is not None:
            profile_training(trainer, profile)
            return {}
        if ranks.is_main:
            experiment.note_start(origin(ranks) | {"persons": trainer.num_persons})
        with trainer.stop.listening():
            return trainer.fit()
