"""Several annotation files that are trained on together."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.of_config import labelled_table, training_dataset
from rlepose.errors import InputError


def livestock(root: Path, tmp_path: Path, **options: Any) -> Config:
    """The three species of the livestock data as three files."""
    files = [f"annotations/{species}_train.json" for species in ("cattle", "horse", "sheep")]
    data = {"root": str(root / "livestock"), "train_annotations": files, "train_images": "images/train"}
    return config_from_dict({"name": "three", "data": data | {"cache_dir": str(tmp_path)} | options})


def test_three_files_of_real_animals_are_one_data_set(real_data: Path, tmp_path: Path) -> None:
    config = livestock(real_data, tmp_path)
    table, skeleton = labelled_table(config, "train")
    read = [json.loads((real_data / "livestock" / file).read_text()) for file in config.data.train_annotations]
    assert len(table) + sum(table.left_out.values()) == sum(len(tree["annotations"]) for tree in read)
    assert len(table.image_ids) == sum(len(tree["images"]) for tree in read) == len(np.unique(table.image_ids))
    assert len(skeleton) == 18 and not training_dataset(config)[0, len(table) - 1]["problem"]


@pytest.fixture
def two_files(write_coco: Callable[..., Path], tmp_path: Path) -> Callable[..., Config]:
    """two_files(joints of the second file) -> a config of a file of two persons and one of one person."""

    def make(joints: list[str], **options: Any) -> Config:
        first = write_coco([{}, {}, {"iscrowd": 1}]).rename(tmp_path / "first.json")
        keypoints = [{"left_hip": [50, 40, 2], "right_hip": [20, 41, 1]}.get(name, [30, 15, 2]) for name in joints]
        person = {"keypoints": [value for joint in keypoints for value in joint], "image_id": 2}
        category = {"keypoints": joints, "skeleton": []}
        second = write_coco([person], [{}, {"file_name": "b.png"}], category).rename(tmp_path / "second.json")
        data = {"root": str(tmp_path), "train_annotations": [first.name, second.name], "train_images": ["one", "two"]}
        return config_from_dict({"name": "two", "data": data | options})

    return make


def test_joints_of_another_order_become_those_of_the_first_file(two_files: Callable[..., Config]) -> None:
    table, skeleton = labelled_table(two_files(["right_hip", "nose", "left_hip"]), "train")
    assert skeleton.names == ("nose", "left_hip", "right_hip")
    np.testing.assert_array_equal(table.keypoints[2], table.keypoints[0])
    np.testing.assert_array_equal(table.visible[2], [2, 2, 1])
    assert table.left_out == {"crowd": 1} and table.draw_weight is None


def test_each_file_has_its_own_pictures(two_files: Callable[..., Config], tmp_path: Path) -> None:
    table, _ = labelled_table(two_files(["nose", "left_hip", "right_hip"]), "train")
    assert [table.image_path(person) for person in (0, 2)] == [
        tmp_path / "one" / "picture.png",
        tmp_path / "two" / "b.png",
    ]


def test_a_file_with_other_joints_is_refused_by_name(two_files: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"second\.json: other joints \(without nose; with tail\) than .*first\.json"):
        labelled_table(two_files(["tail", "left_hip", "right_hip"]), "train")


def test_persons_of_a_file_get_its_weight(two_files: Callable[..., Config]) -> None:
    table, _ = labelled_table(two_files(["nose", "left_hip", "right_hip"], train_weights=[1, 2.5]), "train")
    assert table.draw_weight is not None and table.draw_weight.tolist() == [1, 1, 2.5]
    assert table.select(np.array([2])).draw_weight == [2.5]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"train_annotations": []}, "data.train_annotations: is an empty list"),
        (
            {"train_annotations": ["a", "b"], "train_images": ["a", "b", "c"]},
            "data.train_images: has 3 folders for 2 files",
        ),
        ({"train_images": ["a"]}, "data.train_images: is a list, but data.train_annotations is one file"),
        ({"train_weights": [1, 2]}, "data.train_weights: has 2 numbers for 1 training files"),
        ({"format": "h36m", "train_annotations": ["a"]}, "data.train_annotations: is a list, which data.format=h36m"),
    ],
)
def test_lists_that_do_not_fit_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        config_from_dict({"name": "lists", "data": data})


# --- how often persons are drawn ------------------------------------------------------------------------------------

WEIGHTS = np.repeat([1.0, 3.0, 0.5], [20, 5, 10])


def drawn(epoch: int, world_size: int = 1) -> list[tuple[int, int]]:
    keys = []
    for rank in range(world_size):
        batches = TrainBatches(len(WEIGHTS), 8, 0, rank, world_size, world_size, weights=WEIGHTS)
        batches.epoch = epoch
        keys += [key for batch in batches for key in batch]
    return keys


def test_persons_are_drawn_as_often_as_their_weight_says() -> None:
    counts = Counter(person for epoch in range(200) for _, person in drawn(epoch))
    often = np.array([counts[person] for person in range(len(WEIGHTS))]) / 200
    np.testing.assert_allclose(often, WEIGHTS, rtol=0.05)  # 40 of 40 persons are in whole batches


def test_no_person_comes_twice_with_the_same_augmentation() -> None:
    keys = [key for epoch in range(6) for key in drawn(epoch)]
    assert len(keys) == len(set(keys)) == 6 * 40


def test_ranks_share_the_weighted_batches_of_one() -> None:
    assert sorted(drawn(3, world_size=2)) == sorted(drawn(3))


def test_a_weight_that_draws_nobody_is_refused() -> None:
    """Rounded to 0 in every epoch, a file would never be trained on."""
    with pytest.raises(InputError, match=r"^data.train_weights: 0.03 × 10 persons draw nobody in an epoch; .* 0.1,"):
        TrainBatches(30, 4, 0, weights=np.repeat([1, 0.03], [20, 10]))


def test_equal_weights_draw_everybody_once() -> None:
    batches = TrainBatches(12, 4, 0, weights=np.ones(12))
    assert sorted(person for batch in batches for _, person in batch) == list(range(12))
