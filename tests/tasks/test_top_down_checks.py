"""What is refused before the first step: people in validation who are trained on, as far as their groups tell."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlepose.config.config import Config
from rlepose.errors import InputError
from tests.training.running import trainer_of

Tree = dict[str, Any]


@pytest.fixture
def grouped(tiny_config: Callable[..., Config], synthetic: Path, tmp_path: Path) -> Callable[..., Config]:
    """grouped(change, group_key=…) -> config whose files name a film of each picture: two films to train on, one to
    validate on; `change` gets both files' trees, by split."""

    def make(change: Callable[[dict[str, Tree]], Any] = lambda _: None, group_key: str = "film") -> Config:
        trees = {
            split: json.loads((synthetic / "annotations" / f"person_keypoints_{split}.json").read_text())
            for split in ("train", "val")
        }
        for split, tree in trees.items():
            for number, image in enumerate(tree["images"]):
                image["film"] = f"{split} {number % 2}" if split == "train" else 7
        change(trees)
        options = [f"data.group_key={group_key}"]
        for split, tree in trees.items():
            path = tmp_path / f"{split}.json"
            path.write_text(json.dumps(tree))
            options.append(f"data.{split}_annotations={path}")
        return tiny_config(*options)

    return make


def film_of_training(trees: dict[str, Tree]) -> None:
    for image in trees["val"]["images"][:3]:
        image["film"] = "train 1"


def test_a_group_that_is_in_both_files_is_refused(grouped: Callable[..., Config]) -> None:
    with pytest.raises(
        InputError,
        match=r"data\.group_key: 1 of 2 groups by 'film' in .*val\.json are also in .*train\.json, first "
        r"train 1; split by groups \(`rlepose split`\)",
    ):
        trainer_of(grouped(film_of_training))


def test_other_groups_are_trained_on(grouped: Callable[..., Config]) -> None:
    trainer_of(grouped())


def test_without_the_option_nobody_looks(grouped: Callable[..., Config]) -> None:
    trainer_of(grouped(film_of_training, group_key="null"))


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_picture_without_the_key_is_refused(grouped: Callable[..., Config], split: str) -> None:
    with pytest.raises(InputError, match=rf"{split}\.json: image \d+: its group 'film' is missing; give every image"):
        trainer_of(grouped(lambda trees: trees[split]["images"][-1].pop("film")))


def test_pictures_of_which_nobody_is_trained_on_do_not_count(grouped: Callable[..., Config]) -> None:
    def list_all_pictures(trees: dict[str, Tree]) -> None:
        trees["train"]["images"] += [image | {"id": image["id"] + 10**6} for image in trees["val"]["images"]]

    trainer_of(grouped(list_all_pictures))


# --- batch statistics -------------------------------------------------------------------------------------------------

RESNET = ("model.backbone.name=resnet18", "data.input_size_hw=[32, 32]")


def test_one_person_a_step_whose_crop_shrinks_to_a_pixel_is_refused(
    tiny_config: Callable[..., Config], case_folder: Path
) -> None:
    data = f"data={{root: {case_folder}/one_person, train_annotations: ann.json, val_annotations: ann.json}}"
    images = "data={train_images: images, val_images: images}"
    with pytest.raises(
        InputError,
        match=r"train\.batch_size: 1 persons, divided by ranks × train\.accumulate = 1, leave one at a time, of whose "
        r"crop of 32x32 batch normalisation sees one pixel in \d+ of \d+ layers.*; take 2 or more persons each",
    ):
        trainer_of(tiny_config(*RESNET, data, images, "train.batch_size=1", "data.cache=none"))


def test_accumulating_one_person_at_a_time_is_refused_too(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"8 persons, divided by ranks × train\.accumulate = 8, leave one at a time"):
        trainer_of(tiny_config(*RESNET, "train.accumulate=8"))


@pytest.mark.parametrize(
    "options",
    [
        (*RESNET, "train.accumulate=4"),  # two persons
        ("model.backbone.name=resnet18", "train.batch_size=1"),  # four pixels of 64x64
        ("data.input_size_hw=[32, 32]", "train.batch_size=1"),  # a backbone without batch statistics
    ],
)
def test_two_values_a_channel_are_enough_to_train_on(
    tiny_config: Callable[..., Config], options: tuple[str, ...]
) -> None:
    trainer = trainer_of(tiny_config(*options))
    trainer.step_module.train()
    trainer.step(next(iter(trainer.task.loader)))
