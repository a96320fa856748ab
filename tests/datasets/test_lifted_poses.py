"""Batches of 2-D poses: who is mirrored, what a batch can do, and what a loader leaves alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.formats.h36m import persons_from_h36m
from rlepose.datasets.lifted_poses import LiftedPoses, make_lifting_loader
from rlepose.datasets.lifting_codec import labelled_inputs, mirror_inputs, mirror_joints, targets_of
from rlepose.datasets.persons3d import Person3DTable
from rlepose.drawn_people.people_in_space import FILES


@pytest.fixture(scope="module")
def table(labels_3d: Path) -> Person3DTable:
    return persons_from_h36m(labels_3d / "h36m" / "annotations" / FILES["train"], labels_3d)


def keys(epoch: int, persons: range) -> list[tuple[int, int]]:
    return [(epoch, person) for person in persons]


@pytest.mark.parametrize("flip_prob", [0.0, 1.0])
def test_a_batch_holds_the_labels_of_its_persons_or_their_mirror_images(table: Person3DTable, flip_prob: float) -> None:
    batch = LiftedPoses(table, flip_prob)[[(0, 7), (0, 3)]]
    inputs, targets = labelled_inputs(table)[[7, 3]], targets_of(table.joints_mm())[[7, 3]]
    if flip_prob:
        inputs, targets = mirror_inputs(inputs), mirror_joints(targets)
    assert torch.equal(batch.inputs, inputs) and torch.equal(batch.target, targets)
    assert torch.equal(batch.weight, torch.ones(2, 16, 3))
    assert batch.persons.tolist() == [7, 3] and batch.problems == ["", ""]


def test_who_is_mirrored_follows_from_seed_epoch_and_person_alone(table: Person3DTable) -> None:
    dataset = LiftedPoses(table, 0.5, seed=3)
    whole = dataset[keys(4, range(160))]
    backwards = dataset[keys(4, range(159, -1, -1))]
    assert torch.equal(whole.inputs, backwards.inputs.flip(0)) and torch.equal(whole.target, backwards.target.flip(0))
    few = LiftedPoses(table.select(np.arange(20)), 0.5, seed=3)[keys(4, range(20))]
    assert torch.equal(few.inputs, whole.inputs[:20])
    two_epochs = dataset[[*keys(4, range(5)), *keys(5, range(5))]]
    assert torch.equal(two_epochs.inputs[:5], whole.inputs[:5])
    for other in (dataset[keys(5, range(160))], LiftedPoses(table, 0.5, seed=4)[keys(4, range(160))]):
        same = (other.inputs == whole.inputs).all(dim=1).float().mean()
        assert 0.3 < same < 0.7


def test_the_share_of_mirrored_poses_is_the_probability(table: Person3DTable) -> None:
    plain, dataset = labelled_inputs(table), LiftedPoses(table, 0.2)
    mirrored = [(dataset[keys(epoch, range(160))].inputs != plain).any(dim=1).float().mean() for epoch in range(10)]
    assert np.mean(mirrored) == pytest.approx(0.2, abs=0.04)


def test_a_split_batch_is_the_batch(table: Person3DTable) -> None:
    batch = LiftedPoses(table)[keys(0, range(8))]
    parts = batch.split(4)
    assert [len(part) for part in parts] == [2, 2, 2, 2]
    for name in ("inputs", "target", "weight", "persons"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))
    assert parts[1].problems == ["", ""]
    assert [tensor.dtype for tensor in batch.to(torch.device("meta")).tensors()] == [*[torch.float32] * 3, torch.int64]


def test_a_loader_gives_the_batches_of_its_order_and_leaves_random_numbers_alone(table: Person3DTable) -> None:
    dataset, order = LiftedPoses(table, 0.5), TrainBatches(160, 32, seed=0)
    before = torch.get_rng_state()
    batches = list(make_lifting_loader(dataset, order, pin_memory=False))
    assert torch.equal(torch.get_rng_state(), before)
    assert len(batches) == 5
    for batch, wanted in zip(batches, order, strict=True):
        assert batch.persons.tolist() == [person for _, person in wanted]
        assert torch.equal(batch.inputs, dataset[wanted].inputs)
