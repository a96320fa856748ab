"""The steps of authors_steps.npz, which the authors' code computed, taken again by this project's trainer.

T below is the number of the authors' tensors that learn; rows of norms are in the order of their state dict.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlepose.config.config import Config
from rlepose.config.reading import load_config
from rlepose.convert.foreign_checkpoint import load_flows
from rlepose.convert.layouts import from_official
from rlepose.datasets.crops import CropBatch
from rlepose.drawn_people.people import write_synthetic
from rlepose.drawn_people.people_in_space import write_h36m
from rlepose.pose.codec import PoseOutput
from rlepose.training.trainer import Trainer
from tests.conftest import REPOSITORY
from tests.training.running import trainer_of

Reference = Mapping[str, NDArray[Any]]
Space = Literal["2d", "3d"]

OPTIMIZERS = {"adam": "{name: adam, lr: 0.001}", "sgd": "{name: sgd, momentum: 0, lr: 0.001}"}
BATCHES, PERSONS = 4, 8


@dataclass
class Replay:
    """The steps of a run, in lists with an entry a step, or for weights an entry for each of the recorded steps.

    losses: of each step before its update.
    gradient_norms, clipped_norms: (T,), before clipping and as the optimiser got them.
    weight_norms, change_norms: (T,) after the update; a change is a weight minus its initial value.
    gradients, weights: some of the authors' tensors, whole, by name; as the optimiser got them, and after the update.
    before, after: the network's output for batch 0 in evaluation mode, before the first step and after the last.
    """

    before: PoseOutput
    after: PoseOutput
    losses: list[float] = field(default_factory=list)
    gradient_norms: list[NDArray] = field(default_factory=list)
    clipped_norms: list[NDArray] = field(default_factory=list)
    weight_norms: list[NDArray] = field(default_factory=list)
    change_norms: list[NDArray] = field(default_factory=list)
    gradients: list[dict[str, Tensor]] = field(default_factory=list)
    weights: list[dict[str, Tensor]] = field(default_factory=list)


class TheirTensors:
    """Finds the authors' tensors in ours, of which a flow's hold several, one after the other.

    shapes: of theirs by name. numbers: for each of our parameters, a tensor of its shape that holds at each element the
    number of the one of theirs to which it belongs.
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]], numbers: Sequence[Tensor]) -> None:
        self.shapes = shapes
        self.owners = [of_one.flatten().unique_consecutive() for of_one in numbers]
        assert torch.cat(self.owners).sort().values.equal(torch.arange(len(shapes)))

    def rows(self, ours: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """For each of ours the numbers of theirs (n,) and their elements (n, …)."""
        return [(owners, values.reshape(len(owners), -1)) for owners, values in zip(self.owners, ours, strict=True)]

    def norms(self, ours: Iterable[Tensor]) -> NDArray:
        """L2 norm of each of theirs: (T,)."""
        norms = torch.empty(len(self.shapes), dtype=torch.float64)
        for owners, rows in self.rows(ours):
            norms[owners] = rows.norm(dim=1)
        return norms.numpy()

    def named(self, ours: Iterable[Tensor], names: Set[str]) -> dict[str, Tensor]:
        """Copies of some of theirs."""
        theirs = {int(owner): row for owners, rows in self.rows(ours) for owner, row in zip(owners, rows, strict=True)}
        return {
            name: theirs[number].view(*shape).clone()
            for number, (name, shape) in enumerate(self.shapes.items())
            if name in names
        }


def initial_state(reference: Reference, space: Space) -> dict[str, Tensor]:
    """The authors' state dict before step 1, float64: what learns follows from a formula, in this order."""
    bits = np.random.PCG64(int(reference[f"{space}/seed"]))
    state = {}
    for name, shape, scale, offset in json.loads(str(reference[f"{space}/tensors"])):
        uniform = (bits.random_raw(math.prod(shape)) >> 11) * 2.0**-53 - 0.5
        state[name] = torch.from_numpy((offset + scale * uniform).reshape(shape))
    for name, shape in json.loads(str(reference[f"{space}/buffers"])):
        if name.endswith("mask"):
            state[name] = torch.from_numpy(reference[f"{space}/{name}"]).double()
        else:
            state[name] = torch.full(shape, float(name.endswith("running_var")), dtype=torch.float64)
    return state


def network_input(reference: Reference, space: Space) -> NDArray[np.float32]:
    """The pictures as the authors normalise them: (4, 8, 3, H, W)."""
    pixels = reference[f"{space}/images"].astype(np.float32) / np.float32(255) - np.float32([0.406, 0.457, 0.480])
    if space == "3d":
        pixels = pixels / np.float32([0.225, 0.224, 0.229])
    return np.moveaxis(pixels, -1, 2)


def replay(reference: Reference, space: Space, optimizer: str, folder: Path) -> Replay:
    """Take the steps of a run; `folder` is for what a trainer wants on disk."""
    torch.set_num_threads(1)
    height, width = reference[f"{space}/images"].shape[2:4]
    trainer = trainer_of(_config(space, optimizer, folder, (height, width)))
    trainer.step_module.double()
    parameters = trainer.parameters
    shapes = {name: shape for name, shape, *_ in json.loads(str(reference[f"{space}/tensors"]))}
    state = initial_state(reference, space)
    _fill(trainer, state | {name: torch.full(shape, float(n)) for n, (name, shape) in enumerate(shapes.items())})
    theirs = TheirTensors(shapes, [parameter.detach().long() for parameter in parameters])
    _fill(trainer, state)
    # The input is normalised already, in float32: with the model's own buffers it would differ by 1e-8.
    trainer.task.step.model.pixel_mean.zero_()
    trainer.task.step.model.pixel_std.fill_(1)
    image = torch.from_numpy(network_input(reference, space).astype(np.float64))
    target, weight = (torch.from_numpy(reference[f"{space}/{name}"]).double() for name in ("target", "weight"))

    untrained = _evaluated(trainer, image[0])
    run = Replay(untrained, untrained)
    initial = [parameter.detach().clone() for parameter in parameters]
    unclipped: dict[Tensor, Tensor] = {}
    trainer.step_module.register_forward_hook(
        lambda module, inputs, losses: run.losses.append(losses.per_person.mean().item())
    )
    for parameter in parameters:
        parameter.register_post_accumulate_grad_hook(lambda p: unclipped.update({p: p.grad.clone()}))
    prefix = f"{space}/{optimizer}_exact"
    stored_whole = {key.rpartition("/")[2] for key in reference if key.startswith(f"{prefix}/value/")}
    for step in range(len(reference[f"{prefix}/loss"])):
        batch = step % BATCHES
        trainer.step(CropBatch.of_tensors(image[batch], target[batch], weight[batch]))
        gradients = [parameter.grad for parameter in parameters]
        run.gradient_norms.append(theirs.norms(unclipped[parameter] for parameter in parameters))
        run.clipped_norms.append(theirs.norms(gradients))
        run.gradients.append(theirs.named(gradients, stored_whole))
        if step + 1 in reference[f"{prefix}/steps_recorded"]:
            weights = [parameter.detach() for parameter in parameters]
            run.weight_norms.append(theirs.norms(weights))
            run.change_norms.append(theirs.norms(now - then for now, then in zip(weights, initial, strict=True)))
            run.weights.append(theirs.named(weights, stored_whole))
    run.after = _evaluated(trainer, image[0])
    return run


def _config(space: Space, optimizer: str, folder: Path, size_hw: tuple[int, int]) -> Config:
    """The shipped config, for a small network and a data set of no interest."""
    overrides = [
        f"output_dir={folder / 'exp'}",
        f"data={{root: {folder}, cache: none, input_size_hw: [{size_hw[0]}, {size_hw[1]}]}}",
        "model.backbone={name: resnet18.tv_in1k, pretrained: false}",
        f"train={{batch_size: {PERSONS}, optimizer: {OPTIMIZERS[optimizer]}}}",
        "system={device: cpu, precision: float32, workers: 0}",
    ]
    if space == "2d":
        write_synthetic(folder, "train2017", PERSONS, seed=0)
        write_synthetic(folder, "val2017", 1, seed=0)
        return load_config(REPOSITORY / "configs" / "coco_res50_rle.yaml", overrides)
    for split in ("train", "test"):
        annotations = write_h36m(folder / "h36m", split, moments=1, seed=0, pictures=False)
        for entry in json.loads(annotations.read_text())["images"]:
            picture = folder / "h36m" / "images" / entry["file_name"]
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.touch()
    overrides += ["data={extra_annotations: null, extra_images: null}", "loss.root_depth=true"]
    return load_config(REPOSITORY / "configs" / "h36m_res50_rle.yaml", overrides)


def _fill(trainer: Trainer, state: Mapping[str, Tensor]) -> None:
    converted = from_official(state)
    trainer.task.step.model.load_state_dict(converted.model)
    load_flows(trainer.task.step.criterion, converted, Path("authors_steps.npz"))


@torch.no_grad()
def _evaluated(trainer: Trainer, image: Tensor) -> PoseOutput:
    output = trainer.task.step.model.eval()(image)
    trainer.step_module.train()
    return output
