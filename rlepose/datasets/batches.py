"""Which persons make a batch, in which order, on which rank."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from rlepose.datasets.augment import extra_generator, order_generator
from rlepose.errors import InputError

Key = tuple[int, int]  # (epoch, person): what a sampler asks a dataset for


class TrainBatches(Sampler[list[Key]]):
    """Each rank's part of each global batch of an epoch.

    The order is a function of (seed, epoch, attempt). A global batch is dealt out to the ranks in turn, so one GPU and
    eight see the same batches. An epoch that was left in the middle goes on at `first_step`. The rest that does not
    fill a batch is left for a later epoch's order; a data set smaller than a batch makes one batch of as many persons
    as divide by `divisor`.

    num_extra: number of persons after these in the data set who make half of each batch, on each rank and in each of
    its parts. They come in passes of their own, each in another order, and an epoch takes as many as it needs: every
    extra person as often as any other, give or take one. A pass counts as the epoch in their keys, so that one who
    comes twice in an epoch is augmented in two ways.
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
    ) -> None:
        self.num_persons = num_persons
        self.num_extra = num_extra
        groups = 2 if num_extra else 1
        self.share = min(batch_size // groups, num_persons // divisor * divisor)
        self.batch_size = groups * self.share
        if not self.share:
            raise InputError(
                f"{num_persons} training persons are fewer than ranks × train.accumulate = {divisor}; use fewer ranks"
            )
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = self.first_step = self.attempt = 0

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self.num_persons // self.share

    @property
    def largest(self) -> int:
        """Persons of a batch on this rank, at most."""
        return self.batch_size // self.share * -(-self.share // self.world_size)

    def __iter__(self) -> Iterator[list[Key]]:
        order = order_generator(self.seed, self.epoch, self.attempt).permutation(self.num_persons)
        groups = [[(self.epoch, int(person)) for person in order]]
        if self.num_extra:
            groups.append(self._extra_keys())
        for step in range(self.first_step, len(self)):
            batch = slice(step * self.share, (step + 1) * self.share)
            parts = [group[batch][self.rank :: self.world_size] for group in groups]
            # In turn, so that the parts of an accumulated step have both kinds, too.
            yield [key for keys in zip(*parts, strict=True) for key in keys]

    def _extra_keys(self) -> list[Key]:
        """Those of the extra persons whose turn it is in this epoch."""
        needed = len(self) * self.share
        first = self.epoch * needed
        passes = range(first // self.num_extra, (first + needed - 1) // self.num_extra + 1)
        keys = [
            (number, self.num_persons + int(person))
            for number in passes
            for person in extra_generator(self.seed, number, self.attempt).permutation(self.num_extra)
        ]
        start = first - passes[0] * self.num_extra
        return keys[start : start + needed]


class EvalBatches(Sampler[list[Key]]):
    """Every person once over all ranks; no padding twins.

    The persons of a picture follow each other in one batch, so that the picture is decoded once. A batch has at most
    `batch_size` persons, unless they are all in one picture.

    image_index (N,): each person's picture.
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
