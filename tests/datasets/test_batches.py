"""Batches that cover the persons, the same on any number of ranks."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.datasets.batches import EvalBatches, TrainBatches
from rlepose.errors import InputError

# --- training batches -----------------------------------------------------------------------------------------------


def train_batches(world_size: int = 1, epoch: int = 0, persons: int = 50, size: int = 8) -> list[list[list[Any]]]:
    """The batches of an epoch, one list a rank."""
    batches = []
    for rank in range(world_size):
        sampler = TrainBatches(persons, size, seed=0, rank=rank, world_size=world_size)
        sampler.epoch = epoch
        batches.append(list(sampler))
    return batches


@pytest.mark.parametrize("world_size", [2, 4])
def test_the_ranks_together_see_the_batches_of_one(world_size: int) -> None:
    (alone,) = train_batches(1)
    assert len(alone) == 6
    for whole, *parts in zip(alone, *train_batches(world_size), strict=True):
        assert [len(part) for part in parts] == [8 // world_size] * world_size
        assert sorted(key for part in parts for key in part) == sorted(whole)


def test_no_person_comes_twice_in_an_epoch() -> None:
    (batches,) = train_batches()
    persons = [person for batch in batches for _, person in batch]
    assert len(set(persons)) == len(persons) == 48 and set(persons) < set(range(50))


def test_the_same_epoch_has_the_same_order() -> None:
    assert train_batches(epoch=3) == train_batches(epoch=3)


def test_another_epoch_has_another_order() -> None:
    orders = [[person for batch in train_batches(epoch=epoch)[0] for _, person in batch] for epoch in range(5)]
    assert len(set(map(tuple, orders))) == 5


def test_another_seed_has_another_order() -> None:
    assert list(TrainBatches(50, 8, seed=0)) != list(TrainBatches(50, 8, seed=1))


def test_keys_carry_the_epoch() -> None:
    (batches,) = train_batches(epoch=3)
    assert {epoch for batch in batches for epoch, _ in batch} == {3}


def test_every_person_comes_within_some_epochs() -> None:
    seen = {person for epoch in range(10) for batch in train_batches(epoch=epoch)[0] for _, person in batch}
    assert seen == set(range(50))


def test_a_small_data_set_makes_one_batch_that_divides() -> None:
    sampler = TrainBatches(7, batch_size=64, seed=0, divisor=3)
    (batch,) = list(sampler)
    assert len(sampler) == 1 and sampler.batch_size == len(batch) == 6


def test_too_few_persons_are_refused() -> None:
    with pytest.raises(InputError, match=r"3 training persons, fewer than ranks × train\.accumulate = 4"):
        TrainBatches(3, batch_size=64, seed=0, world_size=4, divisor=4)


# --- batches of two kinds of persons ---------------------------------------------------------------------------------


def mixed(world_size: int = 1, epoch: int = 0, persons: int = 20, extra: int = 7, size: int = 8) -> list[list[Any]]:
    """The batches of an epoch, one list a rank; persons from 20 on are the extra ones."""
    batches = []
    for rank in range(world_size):
        sampler = TrainBatches(persons, size, 0, rank, world_size, divisor=world_size, num_extra=extra)
        sampler.epoch = epoch
        batches.append(list(sampler))
    return batches


@pytest.mark.parametrize("world_size", [1, 2])
def test_half_of_each_batch_and_of_each_of_its_parts_is_extra(world_size: int) -> None:
    for batches in mixed(world_size):
        assert len(batches) == 20 // 4
        for batch in batches:
            assert [person >= 20 for _, person in batch] == [False, True] * (4 // world_size)


def test_the_ranks_together_see_the_mixed_batches_of_one() -> None:
    (alone,) = mixed()
    for whole, *parts in zip(alone, *mixed(2), strict=True):
        assert sorted(key for part in parts for key in part) == sorted(whole)


def test_extra_persons_come_equally_often_and_never_twice_with_one_key() -> None:
    keys = [key for epoch in range(7) for batch in mixed(epoch=epoch)[0] for key in batch if key[1] >= 20]
    counts = np.bincount([person - 20 for _, person in keys])
    assert len(set(keys)) == len(keys) == 7 * 20 and set(counts) == {20}


def test_a_mixed_epoch_goes_on_where_it_was_left() -> None:
    sampler = TrainBatches(20, 8, seed=0, num_extra=7)
    sampler.epoch = 3
    whole = list(sampler)
    sampler.first_step = 2
    assert list(sampler) == whole[2:]


# --- evaluation batches ---------------------------------------------------------------------------------------------


def pictures_of(num_persons: int) -> NDArray[np.int64]:
    """Persons of a picture do not follow each other in the table."""
    return np.random.default_rng(0).integers(0, 6, num_persons)


@pytest.mark.parametrize("num_persons", [0, 1, 2, 10, 13])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_person_is_evaluated_exactly_once(world_size: int, num_persons: int) -> None:
    samplers = [EvalBatches(pictures_of(num_persons), 4, rank, world_size) for rank in range(world_size)]
    persons = [person for sampler in samplers for batch in sampler for _, person in batch]
    assert sorted(persons) == list(range(num_persons))


@pytest.mark.parametrize("num_persons", [1, 8, 30])
def test_evaluation_batches_are_as_many_and_as_large_as_said(num_persons: int) -> None:
    sampler = EvalBatches(np.arange(num_persons) // 2, 5)
    batches = list(sampler)
    assert len(batches) == len(sampler) and max(map(len, batches)) <= 5 and min(map(len, batches)) >= 1


def test_the_persons_of_a_picture_follow_each_other_in_one_batch() -> None:
    image_index = pictures_of(40)
    seen = [[image_index[person] for _, person in batch] for batch in EvalBatches(image_index, 4)]
    runs = [picture for batch in seen for picture, _ in itertools.groupby(batch)]
    assert len(runs) == len(set(runs)) == 6 and len(seen) > 2
