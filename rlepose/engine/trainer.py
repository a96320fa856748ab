"""The training loop: setup, fit, validate, save; read it from top to bottom."""

import contextlib
import logging
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from rlepose.config import Config
from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.loading import BadImages, make_loader
from rlepose.datasets.training import training_dataset, use_crop_cache
from rlepose.engine.announcement import announce
from rlepose.engine.checks import check_batch, check_input_size, check_joints
from rlepose.engine.distributed import Ranks, choose_precision
from rlepose.engine.experiment import Experiment
from rlepose.engine.logging import RunLog, log_to_file
from rlepose.engine.nonfinite import NonFinite
from rlepose.engine.optimization import build_optimizer, learning_rate_factor, skip_next_step
from rlepose.engine.prefetch import on_device
from rlepose.engine.profiling import profile_training
from rlepose.engine.run_state import RunState
from rlepose.engine.train_step import TrainStep, check_compile
from rlepose.engine.validator import Validator, format_table
from rlepose.losses import LOSSES, build_criterion
from rlepose.models.pose_model import build_model

log = logging.getLogger(__name__)

SELECTED_BY = "gt/AP"  # the validation number by which `best.pt` is chosen


class Trainer:
    """One run of one config on all ranks."""

    def __init__(self, config: Config, ranks: Ranks, resume: bool = False) -> None:
        self.config = config
        self.ranks = ranks
        self.experiment = Experiment.of(config)
        check_batch(config.train, ranks.world_size)
        check_compile(config.system.compile, ranks.device)

        data = config.data
        self.validator = Validator(config, "gt", ranks)
        self.dataset = training_dataset(config)
        self.skeleton, table, seed = self.dataset.skeleton, self.dataset.table, config.train.seed
        check_joints(data, self.skeleton, self.validator)
        use_crop_cache(self.dataset, config)
        divisor = ranks.world_size * config.train.accumulate
        self.batches = TrainBatches(
            len(table), config.train.batch_size, seed, ranks.rank, ranks.world_size, divisor=divisor
        )
        self.loader = make_loader(self.dataset, self.batches, config.system.workers, ranks.device.type == "cuda")
        self.bad_images = BadImages(data.on_bad_image)
        self.nonfinite = NonFinite(table, ranks, self.experiment.last)

        torch.manual_seed(seed)  # equal initial weights on all ranks
        needs_sigma = LOSSES[config.loss.name].needs_sigma
        # A checkpoint fills the model anyway: no weights to fetch.
        self.model = build_model(config.model, len(self.skeleton), needs_sigma, pretrained=not resume).to(ranks.device)
        check_input_size(self.model, data.input_size_hw, ranks.device)
        if config.system.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.criterion = build_criterion(config.loss, len(self.skeleton)).to(ranks.device)
        torch.manual_seed(seed + ranks.rank)  # dropout differs between the ranks
        precision = choose_precision(config.system.precision, ranks.device)
        step = TrainStep(self.model, self.criterion, precision, config.system.compile)
        self.step_module: nn.Module = step
        if ranks.world_size > 1:
            device_ids = [ranks.device] if ranks.device.type == "cuda" else None
            self.step_module = DistributedDataParallel(step, device_ids=device_ids)
        self.parameters = list(step.parameters())
        self.optimizer = build_optimizer(config.train.optimizer, self.parameters)
        self.state = RunState(config, self.skeleton, self.model, self.criterion, self.optimizer)
        if resume:
            self.state.resume(self.experiment.last, ranks)

    def fit(self) -> dict[str, Any]:
        """Train to the last epoch; -> the metrics of the last validation."""
        announce(
            self.config,
            self.ranks,
            self.batches,
            len(self.validator.table),
            self.skeleton,
            self.model,
            self.criterion,
        )
        run_log = RunLog(
            self.experiment.folder, self.ranks.is_main, self.state.epoch, self.state.epoch * len(self.batches)
        )
        epochs, seen_an_epoch = self.config.train.epochs, len(self.batches) * self.batches.batch_size
        progress = tqdm(
            total=epochs * seen_an_epoch,
            initial=self.state.epoch * seen_an_epoch,
            unit="img",
            disable=None if self.ranks.is_main else True,
        )
        try:
            # Saved before it is validated: what goes wrong there does not cost the epoch; resuming begins with it.
            while True:
                if self._validation_is_due():
                    self._validate(run_log)
                    self.state.save(self.experiment.last, self.ranks)
                if self.state.epoch == epochs:
                    break
                self._train_epoch(run_log, progress)
                self.state.epoch += 1
                self.nonfinite.check_weights(self.parameters, self.state.epoch)
                self.state.save(self.experiment.last, self.ranks)
        finally:
            progress.close()
            run_log.close()
        return self.state.metrics

    def _validation_is_due(self) -> bool:
        last = self.state.epoch == self.config.train.epochs
        due = self.state.epoch % self.config.train.validate_every == 0
        return self.state.epoch > self.state.validated and (due or last)

    def _train_epoch(self, run_log: RunLog, progress: "tqdm[Any]") -> None:
        train, steps, size = self.config.train, len(self.batches), self.batches.batch_size
        self.batches.epoch = self.state.epoch
        self.step_module.train()
        epoch_started = started = time.perf_counter()
        # Sum of the losses of the steps that were taken, and their number: since the last entry of the log, and in all.
        of_interval, of_epoch = torch.zeros(2, device=self.ranks.device), torch.zeros(2, dtype=torch.float64)
        reported = 0
        for step, (batch, tensors) in enumerate(on_device(self.loader, self.ranks.device)):
            self.bad_images.check(batch["problem"])
            epoch = self.state.epoch + step / steps
            rate = train.optimizer.lr * learning_rate_factor(train.schedule, epoch, train.epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            of_interval += self.step(tensors)
            progress.update(size)
            done = step + 1
            if done % train.log_every and done != steps:
                continue
            # Here alone the host waits for the device.
            sums = self.ranks.sum(of_interval).cpu() / self.ranks.world_size
            loss_sum, taken = sums.tolist()
            global_step = self.state.epoch * steps + done
            self.nonfinite.report_skipped(done - reported - round(taken), global_step)
            if taken:
                self.nonfinite.check_loss(loss_sum / taken, global_step)
                speed = (done - reported) * size / (time.perf_counter() - started)
                progress.set_postfix(epoch=self.state.epoch + 1, loss=f"{loss_sum / taken:.3f}")
                values = {"train/loss": loss_sum / taken, "train/lr": rate, "train/images_per_second": speed}
                run_log.scalars(values, global_step, self.state.epoch + done / steps)
            started, reported, of_epoch = time.perf_counter(), done, of_epoch + sums
            of_interval.zero_()
        loss_sum, taken = of_epoch.tolist()
        if not taken:
            raise self.nonfinite.diverged(f"no step of epoch {self.state.epoch + 1} had a finite gradient")
        self.bad_images.report(self.ranks.gather(self.bad_images.seen))
        log.info(
            "epoch %d/%d  loss %.3f  lr %.2e  %.0f images/s",
            self.state.epoch + 1,
            train.epochs,
            loss_sum / taken,
            rate,
            steps * size / (time.perf_counter() - epoch_started),
        )

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
        if train.on_nonfinite == "skip" or train.clip_grad_norm is not None:
            # Equal on all ranks, which have the same gradient by now.
            norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
            if train.on_nonfinite == "skip":
                taken = norm.isfinite().to(total.dtype)
                skip_next_step(self.optimizer, 1 - taken)
            if train.clip_grad_norm is not None:
                nn.utils.clip_grads_with_norm_(self.parameters, train.clip_grad_norm, norm)
        self.optimizer.step()
        return torch.stack([total.where(taken > 0, 0), taken])

    def _validate(self, run_log: RunLog) -> None:
        self.ranks.equalize_buffers(self.model)
        self.state.metrics, _, predictions = self.validator.run(self.model, self.criterion)
        steps = self.state.epoch * len(self.batches)
        run_log.scalars(self.state.metrics, steps, self.state.epoch)
        if self.ranks.is_main:
            picture = self.validator.pictures(predictions, self.criterion, self.config.eval.pictures)
            if picture is not None:
                run_log.picture("validation", picture, steps)
        log.info("validation after epoch %d\n%s", self.state.epoch, format_table(self.state.metrics))
        self.state.validated = self.state.epoch
        value = self.state.metrics[SELECTED_BY]
        if self.state.best is None or (value is not None and value > self.state.best):
            self.state.best = value
            self.state.save(self.experiment.best, self.ranks)


def train(
    config: Config, ranks: Ranks, resume: bool = False, overwrite: bool = False, profile: int | None = None
) -> dict[str, Any]:
    """Run a config in its experiment folder; -> the last validation's metrics.

    Everything is checked before an earlier run's files are touched. profile: do not train, but tell what this many
    steps wait for.
    """
    experiment = Experiment.of(config)
    ranks.on_main(lambda: experiment.check(resume, overwrite))
    trainer = Trainer(config, ranks, resume)
    ranks.on_main(lambda: experiment.open(config, resume))
    if ranks.is_main:
        log_to_file(experiment.log_file)
    if profile is not None:
        profile_training(trainer, profile)
        return {}
    return trainer.fit()
