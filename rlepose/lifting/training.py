"""Training and testing a lifting network; the whole data set fits into memory."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.errors import DivergedError, InputError, first_line
from rlepose.evaluation.mpjpe import errors_by_action
from rlepose.lifting.network import LiftingNet
from rlepose.lifting.poses import NUM_LIFTED, LiftingPoses, joints_of, mirror_inputs, mirror_joints, mirror_output
from rlepose.losses import LIKELIHOODS, Criterion, build_criterion
from rlepose.losses.options import LossConfig
from rlepose.pose.codec import PoseOutput, average_outputs
from rlepose.pose.skeleton import H36M_ROOT
from rlepose.runtime.precision import choose_precision

# Not `basic`: it predicts through its flow, and a lifting network is stored without one.
TRAINABLE = tuple(name for name in LIKELIHOODS if name != "basic")

# As the paper's recipe for Human3.6M has it. Without a limit one residual of hundreds of sigmas, which a flow from a
# Gaussian scores by its square, can throw the network so far off that it does not come back.
_LARGEST_GRADIENT_NORM = 35.0


@dataclass(frozen=True)
class LiftingOptions:
    """How a lifting network is trained: Adam with a learning rate that falls to 0 along a cosine.

    InputError for numbers out of range.
    """

    loss: LossConfig
    epochs: int
    batch_size: int
    lr: float
    dropout: float
    width: int
    seed: int

    def __post_init__(self) -> None:
        for name, at_least in {"epochs": 1, "batch_size": 2, "width": 1}.items():
            if getattr(self, name) < at_least:
                raise InputError(f"--{name.replace('_', '-')}: expected at least {at_least}, got {getattr(self, name)}")
        if self.lr <= 0:
            raise InputError(f"--lr: expected more than 0, got {self.lr}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"--dropout: expected 0 or more and less than 1, got {self.dropout}")


def train_lifting(poses: LiftingPoses, options: LiftingOptions, report: Callable[[str], None]) -> LiftingNet:
    """A network trained on these poses and their mirror images. DivergedError where the loss is no number any more."""
    torch.manual_seed(options.seed)
    order = torch.Generator().manual_seed(options.seed)
    criterion = _criterion(options.loss)
    network = LiftingNet(
        poses.inputs.mean(dim=0),
        poses.inputs.std(dim=0),
        width=options.width,
        dropout=options.dropout,
        predict_sigma=criterion.main.needs_sigma,
    )
    parameters = [*network.parameters(), *criterion.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=options.lr, fused=True)
    batches = len(poses.inputs) // options.batch_size
    if batches == 0:
        raise InputError(f"--batch-size is {options.batch_size}, but there are {len(poses.inputs)} poses; give less")
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs * batches)
    precision = choose_precision("auto", torch.device("cpu"), network).dtype
    started = time.perf_counter()
    for epoch in range(options.epochs):
        total = 0.0
        for rows in torch.randperm(len(poses.inputs), generator=order)[: batches * options.batch_size].view(
            batches, -1
        ):
            inputs, targets = poses.inputs[rows], poses.targets[rows]
            mirrored = torch.rand(len(rows), generator=order) < 0.5
            inputs = torch.where(mirrored[:, None], mirror_inputs(inputs), inputs)
            targets = torch.where(mirrored[:, None, None], mirror_joints(targets), targets)
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                output = network(inputs)
            loss = criterion(output, targets, torch.ones_like(targets)).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            total += loss.item()
        if not math.isfinite(total):
            raise DivergedError(f"epoch {epoch + 1}: the loss is {total}; lower --lr")
        report(f"epoch {epoch + 1}/{options.epochs}: loss {total / batches:.4f}, {time.perf_counter() - started:.0f} s")
    return network.eval()


def _criterion(config: LossConfig) -> Criterion:
    # Every joint has a depth label here: the likelihood of x and y alone is not needed.
    return Criterion([build_criterion(config, NUM_LIFTED, dims=3).main])


@torch.no_grad()
def predict_lifted(network: LiftingNet, poses: LiftingPoses) -> PoseOutput:
    """Mean of the predictions of the poses and of their mirror images: mu, sigma (N, 16, 3)."""
    return average_outputs(network(poses.inputs), mirror_output(network(mirror_inputs(poses.inputs))))


def lifting_errors(network: LiftingNet, poses: LiftingPoses) -> dict[str, dict[str, float | None]]:
    """MPJPE and the like in mm, by action."""
    predicted = joints_of(predict_lifted(network, poses).mu)
    return errors_by_action(predicted, poses.truth_mm, poses.actions, H36M_ROOT, METRIC_JOINTS)


def save_lifting(path: Path, network: LiftingNet, errors: dict[str, Any]) -> None:
    """Write the weights and the errors that were measured, as plain tensors and numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"network": network.state_dict(), "errors": errors}, path)


def load_lifting(path: Path) -> LiftingNet:
    """The network that `save_lifting` wrote, ready to predict."""
    try:
        state = torch.load(path, weights_only=True)["network"]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; train with scripts/train_lifting.py") from None
    except Exception as error:  # torch.load raises whatever its pickle reader meets
        raise InputError(f"{path}: is not a lifting network ({first_line(error)})") from error
    network = LiftingNet(
        state["mean"],
        state["std"],
        width=len(state["trunk.0.bias"]),
        blocks=len({name.split(".")[1] for name in state if ".layers." in name}),
        predict_sigma="scales.weight" in state,
    )
    network.load_state_dict(state)
    return network.eval()
