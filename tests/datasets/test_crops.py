"""Samples that show what their target says, and loaders that agree."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlepose.datasets import images
from rlepose.datasets.batches import EvalBatches, TrainBatches
from rlepose.datasets.crops import (
    BadImages,
    PoseDataset,
    collate,
)
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.images import read_image
from rlepose.datasets.loading import make_loader
from rlepose.datasets.options import AugmentConfig
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.pose.skeleton import Skeleton, skeleton_from_names

CROP_HW = (128, 96)
OFF = AugmentConfig(flip_prob=0, scale=0, rotation_prob=0, half_body_prob=0)
SKELETON = skeleton_from_names(("nose", "left_hip", "right_hip"))
# Joint i is a dot in channel i of the picture.
DOTS = np.array([[100.3, 60.0], [85.0, 100.6], [121.5, 95.2]])
PICTURE_WH = (200, 160)


def dotted_picture() -> NDArray[np.uint8]:
    x, y = np.meshgrid(np.arange(PICTURE_WH[0]), np.arange(PICTURE_WH[1]))
    squared = (x[..., None] - DOTS[:, 0]) ** 2 + (y[..., None] - DOTS[:, 1]) ** 2
    return (255 * np.exp(-squared / (2 * 2.0**2))).round().astype(np.uint8)


def dot_positions(crop: torch.Tensor) -> NDArray[np.floating]:
    """(3, 2): the brightness' centre in each channel of a crop (3, H, W)."""
    image = crop.numpy().astype(float)
    y, x = np.indices(image.shape[1:])
    return np.stack([(image * x).sum((1, 2)), (image * y).sum((1, 2))], axis=-1) / image.sum((1, 2))[:, None]


def table_of(root: Path, num_persons: int, **changes: Any) -> PersonTable:
    """Persons with the dotted picture's joints, all in picture.png."""
    arrays: dict[str, Any] = {
        "person_ids": np.arange(num_persons) + 1,
        "category_ids": np.ones(num_persons, np.int64),
        "image_index": np.zeros(num_persons, np.int64),
        "bbox_xywh": np.tile(np.float32([70, 40, 60, 80]), (num_persons, 1)),
        "box_score": np.ones(num_persons, np.float32),
        "keypoints": np.tile(DOTS.astype(np.float32), (num_persons, 1, 1)),
        "visible": np.full((num_persons, 3), 2, np.uint8),
        "image_ids": np.array([1]),
        "image_files": np.array(["picture.png"]),
        "image_size_wh": np.array([PICTURE_WH], np.int32),
    }
    return PersonTable(image_root=root, **(arrays | changes))


@pytest.fixture
def dotted(tmp_path: Path) -> Callable[..., PoseDataset]:
    """dotted(augment, num_persons) -> data set of the dotted picture."""
    cv2.imwrite(str(tmp_path / "picture.png"), cv2.cvtColor(dotted_picture(), cv2.COLOR_RGB2BGR))

    def make(augment: AugmentConfig | None = None, num_persons: int = 1, skeleton: Skeleton = SKELETON) -> PoseDataset:
        return PoseDataset(table_of(tmp_path, num_persons), skeleton, CROP_HW, 1.25, augment)

    return make


@pytest.fixture(scope="module")
def training(synthetic: Path) -> PoseDataset:
    coco = CocoFile(synthetic / "annotations" / "person_keypoints_train.json")
    table = persons_from_annotations(coco, synthetic / "train")
    return PoseDataset(table, coco.skeleton(), (64, 48), 1.25, AugmentConfig(color=0.2), seed=3)


def equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(
        torch.equal(first[name], second[name]) if isinstance(first[name], torch.Tensor) else first[name] == second[name]
        for name in first
    )


# --- one sample -----------------------------------------------------------------------------------------------------


def test_a_sample_has_the_documented_shapes_and_types(dotted: Callable[..., PoseDataset]) -> None:
    item = dotted(AugmentConfig())[0, 0]
    assert item["image"].shape == (3, *CROP_HW) and item["image"].dtype == torch.uint8
    for name in ("target", "weight"):
        assert item[name].shape == (3, 2) and item[name].dtype == torch.float32
    assert item["index"] == 0 and item["problem"] == ""


@pytest.mark.parametrize(
    "augment",
    [
        OFF,
        AugmentConfig(flip_prob=1, scale=0, rotation_prob=0, half_body_prob=0),
        AugmentConfig(flip_prob=0, scale=0.25, rotation_prob=1, rotation_deg=60, half_body_prob=0),
        AugmentConfig(flip_prob=1, scale=0.25, rotation_prob=1, rotation_deg=60, half_body_prob=0),
    ],
    ids=["plain", "flip", "rotation and scale", "all"],
)
def test_each_joint_is_seen_where_its_target_says(dotted: Callable[..., PoseDataset], augment: AugmentConfig) -> None:
    # Mirrored, the person's left hip looks like a right hip, so it is the right hip that is to be found there.
    dot_of_joint = [0, 2, 1] if augment.flip_prob else [0, 1, 2]
    dataset = dotted(augment)
    for epoch in range(10):
        item = dataset[epoch, 0]
        assert (item["weight"] == 1).all()
        expected = (item["target"].numpy() + 0.5) * (CROP_HW[1], CROP_HW[0])
        np.testing.assert_allclose(dot_positions(item["image"])[dot_of_joint], expected, atol=0.3)


def test_a_flip_swaps_the_targets_of_left_and_right(dotted: Callable[..., PoseDataset]) -> None:
    plain = dotted(OFF)[0, 0]
    flipped = dotted(AugmentConfig(flip_prob=1, scale=0, rotation_prob=0, half_body_prob=0))[0, 0]
    mirrored = plain["target"] * torch.tensor([-1.0, 1.0]) - torch.tensor([1 / CROP_HW[1], 0])
    torch.testing.assert_close(flipped["target"], mirrored[[0, 2, 1]])


def test_a_flip_swaps_the_labels_of_left_and_right(dotted: Callable[..., PoseDataset]) -> None:
    dataset = dotted(AugmentConfig(flip_prob=1, scale=0, rotation_prob=0, half_body_prob=0))
    dataset.table.visible[0] = (2, 0, 1)
    assert dataset[0, 0]["weight"][:, 0].tolist() == [1, 1, 0]


def test_without_augmentation_every_epoch_is_the_same(dotted: Callable[..., PoseDataset]) -> None:
    dataset = dotted(None)
    assert equal(dataset[0, 0], dataset[7, 0])


def test_augmentation_is_a_function_of_epoch_and_person(training: PoseDataset) -> None:
    assert equal(training[1, 2], training[1, 2])
    assert not torch.equal(training[1, 2]["image"], training[2, 2]["image"])


def test_another_seed_augments_otherwise(dotted: Callable[..., PoseDataset]) -> None:
    first, second = dotted(AugmentConfig()), dotted(AugmentConfig())
    second.seed = 1
    assert not torch.equal(first[0, 0]["target"], second[0, 0]["target"])


def test_the_frames_are_the_crops_of_the_samples(dotted: Callable[..., PoseDataset]) -> None:
    dataset = dotted(None, num_persons=2)
    matrices = dataset.frames().matrix
    assert matrices.shape == (2, 2, 3)
    in_crop = DOTS @ matrices[1, :, :2].T + matrices[1, :, 2]
    np.testing.assert_allclose(dot_positions(dataset[0, 1]["image"]), in_crop, atol=0.3)


# --- pictures that cannot be read -----------------------------------------------------------------------------------


def missing(path: Path) -> None:
    path.unlink()


def broken(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def wrongly_sized(path: Path) -> None:
    cv2.imwrite(str(path), np.zeros((90, 90, 3), np.uint8))


DAMAGES = [
    (missing, "cannot read"),
    (broken, "cannot be decoded"),
    (wrongly_sized, "90x90 px, but its annotation says 200x160"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_bad_picture_gives_a_black_sample_without_weight(
    dotted: Callable[..., PoseDataset], damage: Callable[[Path], None], message: str
) -> None:
    dataset = dotted(AugmentConfig(color=0.2))
    damage(dataset.table.image_path(0))
    item = dataset[0, 0]
    assert item["problem"].startswith(str(dataset.table.image_path(0)))
    assert item["image"].shape == (3, *CROP_HW) and not item["image"].any() and not item["weight"].any()


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_bad_picture_ends_the_run_in_mode_error(
    dotted: Callable[..., PoseDataset], damage: Callable[[Path], None], message: str
) -> None:
    dataset = dotted()
    damage(dataset.table.image_path(0))
    with pytest.raises(InputError, match=rf"picture\.png: .*{message}.*data\.on_bad_image=skip"):
        BadImages("error").check(["", dataset[0, 0]["problem"]])


def test_a_run_in_which_no_picture_can_be_read_ends() -> None:
    bad_images = BadImages("skip")
    bad_images.check(["b.jpg: broken", "a.jpg: broken"])
    with pytest.raises(InputError, match=r"^none of 3 pictures could be read, so nothing is left: a\.jpg: broken"):
        bad_images.report([bad_images.state, ({"c.jpg: broken"}, 0)])


def test_some_unreadable_pictures_say_nothing_of_the_others() -> None:
    bad_images = BadImages("skip")
    bad_images.check(["a.jpg: broken"])
    bad_images.report([bad_images.state], complete=False)
    bad_images.report([bad_images.state, (set(), 1)])


def test_a_bad_picture_is_reported_once_in_mode_skip(caplog: pytest.LogCaptureFixture) -> None:
    bad_images = BadImages("skip")
    with caplog.at_level(logging.WARNING, logger="rlepose"):
        bad_images.check(["", "a.jpg: broken"])
        bad_images.check(["a.jpg: broken", "b.jpg: broken"])
        on_another_rank = {"a.jpg: broken", "c.jpg: broken"}, 0
        bad_images.report([bad_images.state, on_another_rank])
        bad_images.report([bad_images.state, on_another_rank])
    assert caplog.messages == [
        "skipped: a.jpg: broken",
        "skipped: b.jpg: broken",
        "skipped: c.jpg: broken",
        "3 pictures could not be read and are skipped",
    ]


@pytest.mark.parametrize("mode", ["error", "skip"])
def test_good_pictures_are_no_problem(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    BadImages(mode).check(["", ""])
    assert not caplog.records


# --- loader ---------------------------------------------------------------------------------------------------------


def test_workers_do_not_change_the_batches(training: PoseDataset) -> None:
    epochs: list[list[Any]] = []
    for workers in (0, 2):
        sampler = TrainBatches(len(training), 8, seed=0)
        loader = make_loader(training, sampler, workers, pin_memory=False)
        loader.timeout = 20 if workers else 0  # seconds: a hanging worker shall fail this test, not stop it
        epochs.append([])
        for sampler.epoch in (0, 1):  # the second time from workers that live on
            epochs[-1] += list(loader)
    assert len(epochs[0]) >= 4
    assert all(equal(vars(first), vars(second)) for first, second in zip(*epochs, strict=True))


def test_workers_start_after_opencv_has_worked_in_parallel(dotted: Callable[..., PoseDataset]) -> None:
    # A forked process inherits OpenCV's thread pool without its threads, and can wait for them for ever.
    dataset = dotted(num_persons=4)
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((500, 500, 3), np.uint8), (5, 5), 1.0)
    time.sleep(0.3)  # until the pool's threads are asleep
    loader = make_loader(dataset, EvalBatches(np.arange(4), 2), workers=1, pin_memory=False)
    loader.timeout = 20
    assert len(list(loader)) == 2


def test_a_loader_leaves_the_global_random_state_alone(dotted: Callable[..., PoseDataset]) -> None:
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    list(make_loader(dotted(AugmentConfig(), 4), TrainBatches(4, 2, seed=0), 0, pin_memory=False))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], before_numpy)  # noqa: NPY002


def test_a_batch_holds_its_samples_in_order(training: PoseDataset) -> None:
    items = [training[0, person] for person in (4, 1, 3)]
    batch = collate(items)
    assert batch.persons.tolist() == [4, 1, 3] and batch.problems == ["", "", ""]
    for name in ("image", "target", "weight"):
        torch.testing.assert_close(getattr(batch, name), torch.stack([item[name] for item in items]))


def test_the_parts_of_a_batch_make_it_up(training: PoseDataset) -> None:
    batch = collate([training[0, person] for person in range(5)])
    parts = batch.split(3)
    assert [len(part) for part in parts] == [2, 2, 1]
    for together, tensors in zip(batch.tensors(), zip(*(part.tensors() for part in parts), strict=True), strict=True):
        assert torch.equal(torch.cat(tensors), together)
    assert [problem for part in parts for problem in part.problems] == batch.problems


def test_a_picture_is_decoded_once_for_all_its_persons(
    dotted: Callable[..., PoseDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    monkeypatch.setattr(images, "read_image", lambda path, **_: decoded.append(path) or read_image(path))
    dataset = dotted(num_persons=5)
    items = [dataset[key] for batch in EvalBatches(dataset.table.image_index, 2) for key in batch]
    assert len(items) == 5 and len(decoded) == 1


def test_a_batch_of_pictures_is_channels_last(training: PoseDataset) -> None:
    image = collate([training[0, person] for person in range(3)]).image
    assert image.shape == (3, 3, 64, 48) and image.is_contiguous(memory_format=torch.channels_last)


def test_all_tensors_of_a_batch_go_to_the_device(training: PoseDataset) -> None:
    batch = collate([training[0, 0]]).to(torch.device("meta"))
    assert {tensor.device.type for tensor in batch.tensors()} == {"meta"} and len(batch.tensors()) == 4
    assert batch.problems == [""]
