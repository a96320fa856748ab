"""Turn a table of persons with depth into batches of 2-D poses and lifting targets."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from rlepose.datasets.augment import flip_generator
from rlepose.datasets.batches import Key
from rlepose.datasets.crops import PersonBatch
from rlepose.datasets.lifting_codec import labelled_inputs, mirror_inputs, mirror_joints, targets_of
from rlepose.datasets.persons3d import Person3DTable


@dataclass(frozen=True)
class LiftingBatch(PersonBatch):
    """2-D poses of B persons and their targets.

    inputs (B, 34); target and weight (B, 16, 3), float32: see lifting_codec.py. persons (B,) int64, their rows in the
    table; problems (B,), all empty.
    """

    inputs: Tensor
    target: Tensor
    weight: Tensor
    persons: Tensor
    problems: list[str]


class LiftedPoses(Dataset[LiftingBatch]):
    """Inputs and targets of all persons of a table, one batch at a time.

    dataset[[(epoch, person), …]] -> LiftingBatch. Mirroring is a function of (seed, epoch, person).

    Args:
        table: N persons with every joint labelled.
        flip_prob: probability that a pose is mirrored.
        seed: seed of the mirroring.
        joint_weights: (16,) weight of each predicted joint's labels, or one number for all.
    """

    def __init__(
        self, table: Person3DTable, flip_prob: float = 0.0, seed: int = 0, joint_weights: ArrayLike = 1.0
    ) -> None:
        self.table = table
        self.inputs = labelled_inputs(table)
        self.targets = targets_of(table.joints_mm())
        self.flip_prob = flip_prob
        self.seed = seed
        joints = torch.as_tensor(joint_weights, dtype=torch.float32).view(-1, 1)
        self.weights = joints.expand(self.targets.shape[1:])

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, keys: Sequence[Key]) -> LiftingBatch:
        epochs, persons = torch.tensor(keys).unbind(dim=1)
        mirrored = torch.zeros(len(keys), dtype=torch.bool)
        for epoch in {epoch for epoch, _ in keys}:
            of_epoch = epochs == epoch
            mirrored[of_epoch] = _draws(self.seed, epoch, len(self))[persons[of_epoch]] < self.flip_prob
        inputs, target = self.inputs[persons], self.targets[persons]
        inputs = torch.where(mirrored[:, None], mirror_inputs(inputs), inputs)
        target = torch.where(mirrored[:, None, None], mirror_joints(target), target)
        return LiftingBatch(inputs, target, self.weights.repeat(len(keys), 1, 1), persons, [""] * len(keys))


@functools.lru_cache(maxsize=2)
def _draws(seed: int, epoch: int, count: int) -> Tensor:
    """Draw a number in [0, 1) for each person of an epoch: (count,). A person's number does not depend on count."""
    return torch.from_numpy(flip_generator(seed, epoch).random(count))


def make_lifting_loader(
    dataset: LiftedPoses, batches: Sampler[list[Key]], pin_memory: bool
) -> "DataLoader[LiftingBatch]":
    """Return a DataLoader that does not change the global random state. It needs no workers: indexing is fast."""
    return DataLoader(
        dataset,
        sampler=batches,
        batch_size=None,
        pin_memory=pin_memory,
        generator=torch.Generator().manual_seed(0),
    )
