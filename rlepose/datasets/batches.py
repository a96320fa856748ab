"""Select the persons of each batch, their order, and the rank that processes them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from rlepose.datasets.augment import extra_generator, order_generator
from rlepose.errors import InputError

Key = tuple[int, int]  # (epoch, person): the key of a sample, from sampler to data set


class TrainBatches(Sampler[list[Key]]):
    """Each rank's share of each global batch of an epoch.

    The order is a function of (seed, epoch, attempt). The persons of a global batch are dealt to the ranks in turn, so
    one GPU and eight GPUs see the same batches. An interrupted epoch continues at `first_step`. Persons that do not
    fill a batch are dropped until another epoch's order includes them; a data set smaller than a batch makes one batch
    of the largest size that is divisible by `divisor`.

    num_extra: number of extra persons, after the first num_persons in the data set, who make half of each batch, on
    each rank and in each accumulated part. They are drawn in separate passes, each in another order, and an epoch uses
    as many passes as it needs, so that all extra persons occur equally often, within one. The pass replaces the epoch
    in their keys, so that an extra person who occurs twice in an epoch is augmented in two ways.

    weights: (N,), how often each person is drawn, relative to once an epoch; None for once. Persons of equal weight are
    drawn in passes like extra persons, and then shuffled with all others.
    """

    def __init__(
        self,
        num_persons: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        divisor: int = 1,
        num_extra: int = 0,
        weights: NDArray[np.floating] | None = None,
    ) -> None:
        self.groups: list[tuple[NDArray[np.intp], int]] = []  # members of equal weight, and how many an epoch draws
        if weights is not None:
            members = [np.flatnonzero(weights == weight) for weight in np.unique(weights)]
            self.groups = [(group, round(float(weights[group[0]]) * len(group))) for group in members]
            for group, drawn in self.groups:
                if not drawn:
                    raise InputError(
                        f"data.train_weights: {weights[group[0]]:g} × {len(group)} persons draw nobody in an epoch; "
                        f"set at least {1 / len(group):.2g}, or leave this file out"
                    )
            num_persons = sum(drawn for _, drawn in self.groups)
        self.num_persons = num_persons
        self.num_extra = num_extra
        groups = 2 if num_extra else 1
        self.share = min(batch_size // groups, num_persons // divisor * divisor)
        self.batch_size = groups * self.share
        if not self.share:
            raise InputError(
                f"{num_persons} training persons, fewer than ranks × train.accumulate = {divisor}; use fewer ranks"
            )
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = self.first_step = self.attempt = 0

    def __len__(self) -> int:
        """Return the number of steps in a whole epoch."""
        return self.num_persons // self.share

    @property
    def largest(self) -> int:
        """Persons of a batch on this rank, at most."""
        return self.batch_size // self.share * -(-self.share // self.world_size)

    def __iter__(self) -> Iterator[list[Key]]:
        order = order_generator(self.seed, self.epoch, self.attempt).permutation(self.num_persons)
        if self.groups:
            drawn = [key for members, count in self.groups for key in self._passes(members, count)]
            groups = [[drawn[number] for number in order]]
        else:
            groups = [[(self.epoch, int(person)) for person in order]]
        if self.num_extra:
            extra = np.arange(self.num_persons, self.num_persons + self.num_extra)
            groups.append(self._passes(extra, len(self) * self.share))
        for step in range(self.first_step, len(self)):
            batch = slice(step * self.share, (step + 1) * self.share)
            parts = [group[batch][self.rank :: self.world_size] for group in groups]
            # In turn, so that each part of an accumulated step also contains both.
            yield [key for keys in zip(*parts, strict=True) for key in keys]

    def _passes(self, members: NDArray[np.intp], needed: int) -> list[Key]:
        """Return the keys of the members drawn in this epoch: as many as needed, where the epoch before ended."""
        first, count = self.epoch * needed, len(members)
        passes = range(first // count, (first + needed - 1) // count + 1)
        keys = [
            (number, int(members[member]))
            for number in passes
            for member in extra_generator(self.seed, number, self.attempt).permutation(count)
        ]
        start = first - passes[0] * count
        return keys[start : start + needed]


class EvalBatches(Sampler[list[Key]]):
    """Every person exactly once over all ranks, without padding.

    The persons of a picture are in one batch, next to each other, so that the picture is decoded once. A batch has at
    most `batch_size` persons, unless one picture has more.

    image_index (N,): the picture of each person.
    """

    def __init__(self, image_index: NDArray[np.integer], batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        order = np.argsort(image_index, kind="stable")
        pictures = np.split(order, np.flatnonzero(np.diff(image_index[order])) + 1) if len(order) else []
        self.batches: list[list[int]] = []
        for persons in pictures[rank::world_size]:
            if not self.batches or len(self.batches[-1]) + len(persons) > batch_size:
                self.batches.append([])
            self.batches[-1].extend(persons.tolist())

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def largest(self) -> int:
        """Persons of the largest batch on this rank."""
        return max(map(len, self.batches), default=0)

    def __iter__(self) -> Iterator[list[Key]]:
        for batch in self.batches:
            yield [(0, person) for person in batch]
