"""Groups of pictures stay whole, and parts of them have the sizes that were asked for."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.groups import contiguous_blocks, picture_groups, split_groups
from rlepose.datasets.shares import REST
from rlepose.errors import InputError


def test_a_number_and_the_same_number_as_text_are_one_group(write_coco: Callable[..., Path]) -> None:
    path = write_coco(pictures=[{"who": 7}, {"who": "Ann"}, {"who": "7"}])
    assert picture_groups(CocoFile(path), "who").tolist() == ["7", "Ann", "7"]


@pytest.mark.parametrize(
    ("entry", "problem"), [({}, "is missing"), ({"who": None}, "is None"), ({"who": [1]}, r"is \[1\]")]
)
def test_a_picture_without_its_group_is_named(
    write_coco: Callable[..., Path], entry: dict[str, Any], problem: str
) -> None:
    path = write_coco(pictures=[{"who": 7}, entry])
    with pytest.raises(InputError, match=rf"annotations\.json: image 2: its group 'who' {problem}; give every image"):
        picture_groups(CocoFile(path), "who")


def test_blocks_are_neighbours_of_equal_number() -> None:
    blocks = contiguous_blocks(93, 20)
    assert (np.diff(blocks) >= 0).all() and set(np.bincount(blocks)) == {4, 5} and len(np.bincount(blocks)) == 20
    assert contiguous_blocks(3, 20).tolist() == [0, 1, 2]


def test_no_group_is_in_two_parts() -> None:
    rng = np.random.default_rng(0)
    groups, persons = rng.integers(0, 40, 500), rng.integers(0, 4, 500)
    part = split_groups(groups, persons, {"tune": 0.1, "calibrate": 0.2}, seed=0)
    assert set(part) == {REST, "tune", "calibrate"}
    assert all(len(set(part[groups == group])) == 1 for group in set(groups))


@pytest.mark.parametrize("seed", range(20))
def test_a_share_is_met_as_nearly_as_whole_groups_can(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 50, 5)
    share = rng.uniform(0.3, 0.7)
    part = split_groups(np.arange(5), sizes, {"tune": share}, seed)
    target = share * sizes.sum()
    sums = [sizes[list(chosen)].sum() for n in range(5) for chosen in itertools.combinations(range(5), n)]
    best = min(abs(total - target) for total in sums)
    assert abs(sizes[part == "tune"].sum() - target) == pytest.approx(best)


def test_the_seed_alone_decides_who_is_where() -> None:
    groups, persons = np.repeat([f"person {n}" for n in range(30)], 5), np.ones(150, int)
    shares = {"tune": 0.2}
    first, again, other = (split_groups(groups, persons, shares, seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    backwards = split_groups(groups[::-1], persons, shares, 1)[::-1]
    assert (first == backwards).all()


def test_a_part_that_gets_no_group_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"--shares: tune=0\.1 is 3\.0 of 30 persons, and the smallest remaining group \(of 3\)"
    ):
        split_groups(np.arange(3), np.full(3, 10), {"tune": 0.1}, 0)


def test_parts_that_leave_nobody_to_train_on_are_refused() -> None:
    with pytest.raises(InputError, match=r"--shares: tune=0\.5 calibrate=0\.4: none of 2 groups with 20 persons"):
        split_groups(np.arange(2), np.full(2, 10), {"tune": 0.5, "calibrate": 0.4}, 0)
