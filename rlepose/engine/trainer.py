"""The training loop: setup, fit, validate, save; read it from top to bottom."""

import contextlib
import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from rlepose.config import Config
from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.loading import BadImages, make_loader, to_device
from rlepose.datasets.training import training_dataset, use_crop_cache
from rlepose.engine.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_state,
    random_state,
    save_checkpoint,
    set_random_state,
)
from rlepose.engine.checks import check_batch, check_input_size, check_joints
from rlepose.engine.distributed import Ranks, choose_precision
from rlepose.engine.experiment import Experiment
from rlepose.engine.logging import RunLog, log_to_file
from rlepose.engine.nonfinite import NonFinite
from rlepose.engine.optimization import build_optimizer, learning_rate_factor
from rlepose.engine.validator import Validator, format_table
from rlepose.errors import DivergedError, InputError
from rlepose.losses import LOSSES, build_criterion
from rlepose.models.pose_model import PoseModel, build_model

log = logging.getLogger(__name__)

SELECTED_BY = "gt/AP"  # the validation number by which `best.pt` is chosen


class TrainStep(nn.Module):
    """Model and criterion in one module, for DDP to wrap: the flow lives in the criterion and must be kept equal too.

    The model runs in the given precision, the criterion always in float32.
    """

    def __init__(self, model: PoseModel, criterion: nn.Module, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.model = model
        self.criterion = criterion
        self.precision = precision

    def forward(self, image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """image (B, 3, H, W), target and weight (B, K, D) -> the loss of each person (B,)."""
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            output = self.model(image)
        return self.criterion(output, target, weight)


class Trainer:
    """One run of one config on all ranks."""

    def __init__(self, config: Config, ranks: Ranks, resume: bool = False) -> None:
        self.config = config
        self.ranks = ranks
        self.experiment = Experiment.of(config)
        check_batch(config.train, ranks.world_size)

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
        self.nonfinite = NonFinite(table, ranks)

        torch.manual_seed(seed)  # equal initial weights on all ranks
        needs_sigma = LOSSES[config.loss.name].needs_sigma
        # A checkpoint fills the model anyway: no weights to fetch.
        self.model = build_model(config.model, len(self.skeleton), needs_sigma, pretrained=not resume).to(ranks.device)
        check_input_size(self.model, data.input_size_hw, ranks.device)
        if config.system.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.criterion = build_criterion(config.loss, len(self.skeleton)).to(ranks.device)
        torch.manual_seed(seed + ranks.rank)  # dropout differs between the ranks
        step = TrainStep(self.model, self.criterion, choose_precision(config.system.precision, ranks.device))
        self.step_module: nn.Module = step
        if ranks.world_size > 1:
            device_ids = [ranks.device] if ranks.device.type == "cuda" else None
            self.step_module = DistributedDataParallel(step, device_ids=device_ids)
        self.parameters = list(step.parameters())
        self.optimizer = build_optimizer(config.train.optimizer, self.parameters)
        self.epoch = 0
        self.validated = 0  # epoch of the last validation
        self.best: float | None = None
        self.metrics: dict[str, Any] = {}
        if resume:
            self._resume()

    def fit(self) -> dict[str, Any]:
        """Train to the last epoch; -> the metrics of the last validation."""
        self._announce()
        run_log = RunLog(self.experiment.folder, self.ranks.is_main, self.epoch, self.epoch * len(self.batches))
        epochs, seen_an_epoch = self.config.train.epochs, len(self.batches) * self.batches.batch_size
        progress = tqdm(
            total=epochs * seen_an_epoch,
            initial=self.epoch * seen_an_epoch,
            unit="img",
            disable=None if self.ranks.is_main else True,
        )
        try:
            # Saved before it is validated: what goes wrong there does not cost the epoch; resuming begins with it.
            while True:
                if self._validation_is_due():
                    self._validate(run_log)
                    self._save(self.experiment.last)
                if self.epoch == epochs:
                    break
                self._train_epoch(run_log, progress)
                self.epoch += 1
                self._check_weights()
                self._save(self.experiment.last)
        finally:
            progress.close()
            run_log.close()
        return self.metrics

    def _validation_is_due(self) -> bool:
        last = self.epoch == self.config.train.epochs
        return self.epoch > self.validated and (last or self.epoch % self.config.train.validate_every == 0)

    def _resume(self) -> None:
        """Go on from the last checkpoint of this experiment."""
        path = self.experiment.last
        checkpoint = load_checkpoint(path)
        if checkpoint.skeleton.names != self.skeleton.names:
            raise InputError(
                f"--resume: {path} was trained on the joints {', '.join(checkpoint.skeleton.names)}, but the data now "
                f"have {', '.join(self.skeleton.names)}; start anew under another --name"
            )
        changed = _differences(checkpoint.config.to_dict(), self.config.to_dict())
        if changed:
            log.warning("resuming with other options than before: %s", "; ".join(changed))
        load_state(self.model, checkpoint.model, "model", path)
        load_state(self.criterion, checkpoint.criterion, "criterion", path)
        self._load_optimizer(checkpoint)
        self.epoch, self.validated = checkpoint.progress["epoch"], checkpoint.progress["validated"]
        self.best = checkpoint.progress["best"]
        self.metrics = checkpoint.metrics
        if len(checkpoint.random_states) == self.ranks.world_size:
            set_random_state(checkpoint.random_states[self.ranks.rank], self.ranks.device)
        log.info("resuming after epoch %d of %d from %s", self.epoch, self.config.train.epochs, path)

    def _load_optimizer(self, checkpoint: Checkpoint) -> None:
        before, now = checkpoint.config.train.optimizer.name, self.config.train.optimizer.name
        if before != now:
            raise InputError(f"train.optimizer.name: the run was started with {before}; it cannot go on with {now}")
        options = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(checkpoint.optimizer)
        # The state is the checkpoint's; rates and decays are this config's.
        for group, values in zip(self.optimizer.param_groups, options, strict=True):
            group.update(values)

    def _train_epoch(self, run_log: RunLog, progress: "tqdm[Any]") -> None:
        train, steps = self.config.train, len(self.batches)
        self.batches.epoch = self.epoch
        self.step_module.train()
        epoch_started = started = time.perf_counter()
        loss_sum, summed, taken, epoch_sum = torch.zeros((), device=self.ranks.device), 0, 0, 0.0
        for step, batch in enumerate(self.loader):
            self.bad_images.check(batch["problem"])
            rate = train.optimizer.lr * learning_rate_factor(train.schedule, self.epoch + step / steps, train.epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self._step(to_device(batch, self.ranks.device))
            if loss is not None:
                loss_sum += loss
                summed += 1
            progress.update(self.batches.batch_size)
            if (step + 1) % train.log_every == 0 or step + 1 == steps:
                # Here alone the losses come back from the device.
                global_step = self.epoch * steps + step + 1
                self._report_skipped(global_step)
                if not summed:
                    continue
                mean_loss = float(self.ranks.sum(loss_sum)) / (summed * self.ranks.world_size)
                self._check_finite(mean_loss, global_step)
                speed = summed * self.batches.batch_size / (time.perf_counter() - started)
                progress.set_postfix(epoch=self.epoch + 1, loss=f"{mean_loss:.3f}")
                values = {"train/loss": mean_loss, "train/lr": rate, "train/images_per_second": speed}
                run_log.scalars(values, global_step, self.epoch + (step + 1) / steps)
                taken += summed
                epoch_sum += mean_loss * summed
                started, loss_sum, summed = time.perf_counter(), torch.zeros_like(loss_sum), 0
        if not taken:
            raise self._diverged(f"no step of epoch {self.epoch + 1} had a finite gradient")
        self.bad_images.report(self.ranks.gather(self.bad_images.seen))
        log.info(
            "epoch %d/%d  loss %.3f  lr %.2e  %.0f images/s",
            self.epoch + 1,
            train.epochs,
            epoch_sum / taken,
            rate,
            steps * self.batches.batch_size / (time.perf_counter() - epoch_started),
        )

    def _step(self, batch: dict[str, Tensor]) -> Tensor | None:
        """One update from this rank's part of the global batch; -> its mean loss, or None if the step was skipped."""
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
        if train.on_nonfinite == "skip" or train.clip_grad_norm is not None:
            # Equal on all ranks, which have the same gradient by now.
            norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
            if train.on_nonfinite == "skip" and not norm.isfinite():
                self.nonfinite.skip()
                return None
            if train.clip_grad_norm is not None:
                nn.utils.clip_grads_with_norm_(self.parameters, train.clip_grad_norm, norm)
        self.optimizer.step()
        return total

    def _validate(self, run_log: RunLog) -> None:
        self.ranks.equalize_buffers(self.model)
        self.metrics, _, predictions = self.validator.run(self.model, self.criterion)
        steps = self.epoch * len(self.batches)
        run_log.scalars(self.metrics, steps, self.epoch)
        if self.ranks.is_main:
            picture = self.validator.pictures(predictions, self.criterion, self.config.eval.pictures)
            if picture is not None:
                run_log.picture("validation", picture, steps)
        log.info("validation after epoch %d\n%s", self.epoch, format_table(self.metrics))
        self.validated = self.epoch
        value = self.metrics[SELECTED_BY]
        if self.best is None or (value is not None and value > self.best):
            self.best = value
            self._save(self.experiment.best)

    def _save(self, path: Path) -> None:
        random_states = self.ranks.gather(random_state(self.ranks.device))
        if self.ranks.is_main:
            save_checkpoint(
                path,
                Checkpoint(
                    config=self.config,
                    skeleton=self.skeleton,
                    model=self.model.state_dict(),
                    criterion=self.criterion.state_dict(),
                    optimizer=self.optimizer.state_dict(),
                    progress={"epoch": self.epoch, "validated": self.validated, "best": self.best},
                    metrics=self.metrics,
                    random_states=random_states,
                ),
            )

    def _announce(self) -> None:
        config, ranks, batches = self.config, self.ranks, self.batches
        if batches.batch_size < config.train.batch_size:
            log.warning(
                "only %d training persons: a step takes %d instead of train.batch_size=%d",
                len(self.dataset),
                batches.batch_size,
                config.train.batch_size,
            )
        log.info("experiment      %s", self.experiment.folder)
        log.info("device          %d × %s, backbone in %s", ranks.world_size, ranks.device.type, self._precision_name())
        log.info("persons         %d to train, %d to validate", len(self.dataset), len(self.validator.table))
        log.info(
            "batch           %d = %d ranks × %d × %d accumulated; %d steps an epoch",
            batches.batch_size,
            ranks.world_size,
            batches.batch_size // ranks.world_size // config.train.accumulate,
            config.train.accumulate,
            len(batches),
        )
        log.info(
            "joints          %d, of which %d pairs of left and right", len(self.skeleton), len(self.skeleton.flip_pairs)
        )
        log.info(
            "model           %s, %.1f M parameters; loss %s, %.3f M parameters",
            config.model.backbone.name,
            sum(p.numel() for p in self.model.parameters()) / 1e6,
            config.loss.name,
            sum(p.numel() for p in self.criterion.parameters()) / 1e6,
        )

    def _precision_name(self) -> str:
        return str(choose_precision(self.config.system.precision, self.ranks.device)).removeprefix("torch.")

    def _check_finite(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise self._diverged(f"the loss became NaN or infinite before step {step}, {self.nonfinite.whose()}")

    def _report_skipped(self, step: int) -> None:
        if skipped := self.nonfinite.skipped:
            whose = self.nonfinite.whose()
            log.warning("skipped %d steps before step %d: loss or gradient was not finite, %s", skipped, step, whose)

    def _check_weights(self) -> None:
        if not all(bool(parameter.isfinite().all()) for parameter in self.parameters):
            raise self._diverged(f"weights became NaN or infinite in epoch {self.epoch}")

    def _diverged(self, what: str) -> DivergedError:
        saved = f"; {self.experiment.last} is from before" if self.experiment.last.exists() else ""
        return DivergedError(f"{what}{saved}; lower train.optimizer.lr or set train.clip_grad_norm")


def train(config: Config, ranks: Ranks, resume: bool = False, overwrite: bool = False) -> dict[str, Any]:
    """Run a config in its experiment folder; -> the last validation's metrics.

    Everything is checked before an earlier run's files are touched.
    """
    experiment = Experiment.of(config)
    ranks.on_main(lambda: experiment.check(resume, overwrite))
    trainer = Trainer(config, ranks, resume)
    ranks.on_main(lambda: experiment.open(config, resume))
    if ranks.is_main:
        log_to_file(experiment.log_file)
    return trainer.fit()


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """'train.epochs: 20 -> 30' for each option that differs."""
    lines: list[str] = []
    for key in old:
        if isinstance(old[key], dict) and isinstance(new[key], dict):
            lines += _differences(old[key], new[key], f"{prefix}{key}.")
        elif old[key] != new[key]:
            lines.append(f"{prefix}{key}: {old[key]} -> {new[key]}")
    return lines
