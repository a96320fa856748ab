"""Crops and labels of half a body are those of the authors' code, for a lopsided person with joints left unlabelled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from rlepose.datasets import crops as loading
from rlepose.datasets.augment import random_crop
from rlepose.datasets.crops import PoseDataset
from rlepose.datasets.images import View
from rlepose.datasets.options import AugmentConfig
from rlepose.datasets.persons import PersonTable
from rlepose.pose.geometry import box_to_center_scale
from rlepose.pose.skeleton import COCO

PICTURE_WH, CROP_HW, PADDING = (640, 480), (256, 192), 1.25
FACTOR, ROTATION_DEG = 0.9, -18.0
HALVES = {"upper": 0.0, "lower": 0.999}

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Draws:
    """In the place of a generator. share: every draw from [0, 1), below 1/2 for the upper half."""

    share: float
    factor: float
    rotation_deg: float

    def random(self) -> float:
        return self.share

    def uniform(self, low: float, high: float) -> float:
        return self.factor - 1 if high < 1 else self.rotation_deg


class Blank:
    """Pictures without pixels of interest."""

    def view(self, person: int) -> View:
        return View(np.zeros((PICTURE_WH[1], PICTURE_WH[0], 3), np.uint8), np.ones(2), np.zeros(2))


@pytest.fixture(scope="module")
def authors(reference_folder: Path) -> Arrays:
    """joints (17, 2) px; labelled (6, 17); others by label set, half and flip: target, weight (6, 2, 2, 17, 2)."""
    with np.load(reference_folder / "authors_steps.npz") as file:
        return {key.removeprefix("half_body/"): file[key] for key in file if key.startswith("half_body/")}


@pytest.fixture(scope="module")
def table(authors: Arrays) -> PersonTable:
    """The person once for each set of labels, in a box around the labelled joints."""
    visible = authors["labelled"] * 2
    persons, joints = len(visible), authors["joints"]
    boxes = [np.concatenate([joints[row > 0].min(axis=0), np.ptp(joints[row > 0], axis=0)]) for row in visible]
    numbers = np.arange(persons)
    return PersonTable(
        image_root=Path(),
        person_ids=numbers,
        category_ids=np.ones(persons, int),
        image_index=np.zeros(persons, int),
        bbox_xywh=np.array(boxes, np.float32),
        box_score=np.ones(persons, np.float32),
        keypoints=(joints * (visible > 0)[..., None]).astype(np.float32),
        visible=visible,
        image_ids=np.ones(1, int),
        image_files=np.array(["picture.jpg"]),
        image_size_wh=np.array([PICTURE_WH], np.int32),
    )


@pytest.mark.parametrize("half", HALVES)
def test_the_region_around_a_half_is_the_authors(authors: Arrays, table: PersonTable, half: str) -> None:
    config, draws = AugmentConfig(half_body_prob=1, flip_prob=0), Draws(HALVES[half], 1, 0)
    refused = 0
    for person, keypoints in enumerate(table.keypoints):
        whole = box_to_center_scale(table.bbox_xywh[person], CROP_HW[1] / CROP_HW[0], PADDING)
        choice = random_crop(draws, config, COCO, *whole, keypoints, table.visible[person])
        theirs = tuple(authors[name][person, list(HALVES).index(half)] for name in ("center", "scale"))
        if np.isnan(theirs).all():
            theirs, refused = whole, refused + 1
        assert_allclose((choice.center, choice.scale), theirs, rtol=1e-6, err_msg=f"label set {person}")
    assert refused == 1


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("half", HALVES)
def test_labels_in_a_turned_crop_of_a_half_are_the_authors(
    authors: Arrays, table: PersonTable, monkeypatch: pytest.MonkeyPatch, half: str, flip: bool
) -> None:
    # They turn a crop of the mirrored picture, we mirror the turned crop. And theirs lies one of its pixels further:
    # in both pictures the middle of the region comes to x = W / 2, which ours mirrors to W − 1 − W / 2.
    draws = Draws(HALVES[half], FACTOR, -ROTATION_DEG if flip else ROTATION_DEG)
    shift = [-1 / CROP_HW[1] if flip else 0, 0]
    monkeypatch.setattr(loading, "sample_generator", lambda seed, epoch, person: draws)
    config = AugmentConfig(half_body_prob=1, rotation_prob=1, flip_prob=float(flip))
    dataset = PoseDataset(table, COCO, CROP_HW, PADDING, config, images=Blank(), outside_weight=1)
    for person in range(len(table)):
        case = person, list(HALVES).index(half), int(flip)
        item, target, weight = dataset[0, person], authors["target"][case] + shift, authors["weight"][case]
        np.testing.assert_array_equal(item["weight"], weight)
        assert_allclose(item["target"][weight > 0], target[weight > 0], atol=1e-6)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("half", HALVES)
def test_a_crop_of_a_half_covers_what_the_authors_does(
    authors: Arrays, table: PersonTable, half: str, flip: bool
) -> None:
    config, draws = AugmentConfig(half_body_prob=1, flip_prob=float(flip)), Draws(HALVES[half], FACTOR, ROTATION_DEG)
    for person, keypoints in enumerate(table.keypoints):
        whole = box_to_center_scale(table.bbox_xywh[person], CROP_HW[1] / CROP_HW[0], PADDING)
        choice = random_crop(draws, config, COCO, *whole, keypoints, table.visible[person])
        assert choice.flip == flip
        left, top, right, bottom = authors["crop_xyxy"][person, list(HALVES).index(half), int(flip)]
        if flip:  # theirs is in the mirrored picture
            left, right = PICTURE_WH[0] - 1 - right, PICTURE_WH[0] - 1 - left
        low, high = choice.center - choice.scale / 2, choice.center + choice.scale / 2
        assert_allclose([*low, *high], [left, top, right, bottom], atol=1e-3)
