"""The crop cache: the same crops as from the files, made once, and only whole."""

import dataclasses
import multiprocessing
import os
import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.datasets import crop_cache
from rlepose.datasets.augment import reachable_region
from rlepose.datasets.crops import PoseDataset
from rlepose.datasets.images import ImageFiles
from rlepose.datasets.of_config import training_dataset, use_crop_cache
from rlepose.datasets.options import AugmentConfig
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.pose.geometry import crop_matrix
from rlepose.pose.skeleton import COCO

EXTREME = "augment={flip_prob: 0.5, scale: 0.25, rotation_deg: 45, rotation_prob: 1, half_body_prob: 0.5}"


@pytest.fixture
def cached(tiny_config: Callable[..., Config], tmp_path: Path) -> Callable[..., PoseDataset]:
    """cached('jpeg', option, …) -> the tiny config's training persons, with all augmentations at their extremes."""

    def make(kind: str, *overrides: str) -> PoseDataset:
        config = tiny_config(EXTREME, f"data.cache={kind}", f"data.cache_dir={tmp_path / 'cache'}", *overrides)
        dataset = training_dataset(config)
        use_crop_cache(dataset, config)
        return dataset

    return make


def folders(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("crops-*"))


def crops(dataset: PoseDataset, epochs: int = 4) -> NDArray[np.int64]:
    items = [dataset[epoch, person]["image"] for epoch in range(epochs) for person in range(len(dataset))]
    return torch.stack(items).numpy().astype(np.int64)


# --- what is read ---------------------------------------------------------------------------------------------------


def test_where_nothing_is_shrunk_a_raw_crop_is_the_files_crop(cached: Callable[..., PoseDataset]) -> None:
    # Crops of more pixels than the pictures have: nothing is shrunk.
    large = "data.input_size_hw=[512, 512]"
    error = np.abs(crops(cached("raw", large), 2) - crops(cached("none", large), 2))
    # Fixed-point interpolation: the same place in other coordinates can round to the next step.
    assert error.max() <= 3 and error.mean() < 0.02


def test_a_shrunk_crop_is_a_smoother_version_of_the_files_crop(cached: Callable[..., PoseDataset]) -> None:
    truth = crops(cached("none"))
    error = np.abs(crops(cached("raw")) - truth)
    assert 0 < error.mean() < 0.25 * np.abs(truth - truth.mean()).mean()
    # No black border where the picture goes on.
    assert (error.mean(axis=(1, 2, 3)) < 12).all()


def table_of(folder: Path, picture: NDArray[np.uint8]) -> PersonTable:
    """One person in one picture, which is written to the folder."""
    cv2.imwrite(str(folder / "picture.bmp"), picture)
    return PersonTable(
        image_root=folder,
        person_ids=np.array([1]),
        category_ids=np.array([1]),
        image_index=np.array([0]),
        bbox_xywh=np.array([[10, 10, 40, 40]], np.float32),
        box_score=np.ones(1, np.float32),
        keypoints=np.zeros((1, 1, 2), np.float32),
        visible=np.ones((1, 1), np.uint8),
        image_ids=np.array([1]),
        image_files=np.array(["picture.bmp"]),
        image_size_wh=np.array([picture.shape[1::-1]], np.int32),
    )


def test_a_shrunk_crop_lies_where_the_files_crop_lies(tmp_path: Path) -> None:
    ramp = np.broadcast_to(4 * np.arange(60)[None, :, None], (60, 60, 3)).astype(np.uint8)
    table = table_of(tmp_path, ramp)
    cache = crop_cache.crop_cache(tmp_path, "raw", table, np.array([[0, 0, 60, 60]]), np.array([0.25]), "error")
    assert cache.view(0).pixels.shape == (15, 15, 3)
    matrix = crop_matrix((30, 30), (40, 40), (32, 32), rotation_deg=30)
    difference = cache.view(0).crop(matrix, (32, 32)).astype(int) - ImageFiles(table).view(0).crop(matrix, (32, 32))
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("rotation_deg", [0, 30, 45])
def test_a_crop_that_is_shrunk_much_has_no_black_border(tmp_path: Path, rotation_deg: float) -> None:
    """A crop of 1600 px for an input of 64 px, where a stored pixel is 12.5 px: as of 6400 px for 256 px."""
    side, crop_side, crop_size = 3000, 1600, (64, 64)
    row, column = np.ogrid[:side, :side]
    waves = 180 + 35 * np.sin(row / 300) + 35 * np.cos(column / 200)
    table = table_of(tmp_path, np.repeat(waves[..., None], 3, axis=2).astype(np.uint8))
    config = AugmentConfig(scale=0.25, rotation_deg=rotation_deg, rotation_prob=1, half_body_prob=0)
    center, scale = np.full((1, 2), side / 2), np.full((1, 2), float(crop_side))
    reach = reachable_region(config, COCO, center, scale, table.keypoints, table.visible)
    cache = crop_cache.crop_cache(tmp_path, "raw", table, reach, np.array([2 * 64 / crop_side]), "error")
    files = ImageFiles(table)
    for turn in {rotation_deg, -rotation_deg, rotation_deg / 2}:
        for flip in (False, True):
            matrix = crop_matrix(center[0], 1.25 * scale[0], crop_size, turn, flip)
            difference = cache.view(0).crop(matrix, crop_size).astype(int) - files.view(0).crop(matrix, crop_size)
            assert np.abs(difference).max() <= 2


def test_jpeg_crops_differ_from_raw_ones_by_the_compression(cached: Callable[..., PoseDataset]) -> None:
    error = np.abs(crops(cached("jpeg")) - crops(cached("raw")))
    assert 0 < error.mean() < 4


def test_labels_are_those_of_the_files(cached: Callable[..., PoseDataset]) -> None:
    for name in ("target", "weight", "index"):
        assert np.array_equal(cached("jpeg")[3, 5][name], cached("none")[3, 5][name])


def test_real_pictures_come_out_of_the_cache_as_they_are_in_the_files(
    real_data: Path, tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny_config(
        f"data.root={real_data / 'coco_mini'}",
        "data.train_annotations=annotations/person_keypoints_train2017.json",
        "data.train_images=train2017",
        "data.input_size_hw=[256, 192]",
        f"data.cache_dir={tmp_path}",
        EXTREME,
    )
    from_files, from_cache = training_dataset(config), training_dataset(config)
    use_crop_cache(from_cache, dataclasses.replace(config, data=dataclasses.replace(config.data, cache="jpeg")))
    errors = [
        np.abs(crop - truth).mean() for crop, truth in zip(crops(from_cache, 1), crops(from_files, 1), strict=True)
    ]
    assert np.mean(errors) < 3.5 and max(errors) < 10


# --- how it is made -------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def test_it_is_made_once(cached: Callable[..., PoseDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached("jpeg")
    monkeypatch.setattr(crop_cache, "_encode_picture", lambda *_: pytest.fail("made again"))
    assert crops(cached("jpeg"), 1).any()
    assert len(folders(tmp_path)) == 1


@pytest.mark.parametrize("change", ["data.box_scale=1.5", "augment.scale=0.3", "data.input_size_hw=[96, 96]"])
def test_another_setting_makes_another_cache(cached: Callable[..., PoseDataset], tmp_path: Path, change: str) -> None:
    cached("jpeg")
    cached("jpeg", change)
    assert len(folders(tmp_path)) == 2


def test_what_does_not_change_the_crops_uses_the_same_cache(cached: Callable[..., PoseDataset], tmp_path: Path) -> None:
    cached("jpeg")
    cached("jpeg", "train.seed=5", "augment.color=0.2", "train.batch_size=4")
    assert len(folders(tmp_path)) == 1


@pytest.mark.parametrize("torn_bytes", [0, 3, 8, 40])
def test_an_interrupted_making_goes_on_where_it_was(
    cached: Callable[..., PoseDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn_bytes: int
) -> None:
    monkeypatch.setattr(crop_cache, "_PICTURES_A_BLOCK", 4)
    cached("jpeg")
    (folder,) = folders(tmp_path)
    whole = contents(folder)
    shutil.rmtree(folder)

    encode, calls = crop_cache._encode_picture, Counter[str]()

    def fails_at_the_fifteenth(*arguments: Any) -> list[bytes]:
        calls["interrupted"] += 1
        if calls["interrupted"] == 15 + 24:  # after a sample of all for the announcement
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(crop_cache, "_encode_picture", fails_at_the_fifteenth)
    with pytest.raises(KeyboardInterrupt):
        cached("jpeg")
    assert not (folder / "index.npy").exists()
    with (folder / "lengths.part").open("r+b") as file:  # a crash while the lengths were written
        file.truncate((folder / "lengths.part").stat().st_size - torn_bytes)

    def counted(*arguments: Any) -> list[bytes]:
        calls["going on"] += 1
        return encode(*arguments)

    monkeypatch.setattr(crop_cache, "_encode_picture", counted)
    cached("jpeg")
    assert contents(folder) == whole
    assert calls["going on"] <= 2 * (24 - 12 + 5)  # the sample, and what was missing


def test_a_making_that_is_interrupted_at_its_index_keeps_the_crops(
    cached: Callable[..., PoseDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", no_space)
        assert isinstance(cached("raw").images, ImageFiles)
    monkeypatch.setattr(crop_cache, "_encode_picture", lambda *_: pytest.fail("made again"))
    assert all(crops(cached("raw"), 1).any(axis=(1, 2, 3)))


def test_a_complete_cache_is_read_where_nothing_can_be_written(
    cached: Callable[..., PoseDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    cached("jpeg")
    monkeypatch.setattr(crop_cache, "_alone", lambda _: pytest.fail("wants to write"))
    assert crops(cached("jpeg"), 1).any()


def _make_in_a_process(config: Config) -> None:
    use_crop_cache(training_dataset(config), config)


def test_processes_that_start_together_make_one_cache(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny_config("data.cache=jpeg", f"data.cache_dir={tmp_path / 'cache'}")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_make_in_a_process, args=(config,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    (folder,) = folders(tmp_path)
    assert set(contents(folder)) == {"crops.bin", "index.npy", "pictures.npy"}


def test_a_worker_gets_no_copy_of_the_crops(cached: Callable[..., PoseDataset]) -> None:
    dataset = cached("raw")
    before = crops(dataset, 1)  # opens the files
    assert len(pickle.dumps(dataset.images)) < 20_000
    again = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(crops(again, 1), before)


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.fixture
def with_broken_picture(synthetic: Path, tmp_path: Path) -> tuple[str, Path]:
    """(option of a copy of the data set, path of its one broken picture)."""
    root = Path(shutil.copytree(synthetic, tmp_path / "data"))
    picture = sorted((root / "train").iterdir())[7]
    picture.write_bytes(picture.read_bytes()[:200])
    return f"data.root={root}", picture


def test_a_broken_picture_ends_the_making(
    cached: Callable[..., PoseDataset], with_broken_picture: tuple[str, Path]
) -> None:
    option, picture = with_broken_picture
    with pytest.raises(InputError, match=f"{picture.name}: "):
        cached("jpeg", option)


def test_a_broken_picture_is_left_out_in_mode_skip(
    cached: Callable[..., PoseDataset], with_broken_picture: tuple[str, Path]
) -> None:
    option, picture = with_broken_picture
    dataset = cached("jpeg", option, "data.on_bad_image=skip")
    problems = [dataset[0, person]["problem"] for person in range(len(dataset))]
    assert [problem for problem in problems if problem] == [problem for problem in problems if picture.name in problem]
    assert any(problems)


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    cached: Callable[..., PoseDataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    dataset = cached("raw")
    assert isinstance(dataset.images, ImageFiles) and not dataset[0, 0]["problem"]
    assert "needs about" in caplog.text and "take data.cache=jpeg" in caplog.text
    assert not (folders(tmp_path)[0] / "crops.bin").stat().st_size


def test_where_no_cache_can_be_written_pictures_are_read_with_a_warning(
    cached: Callable[..., PoseDataset], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file")
    dataset = cached("jpeg")
    assert isinstance(dataset.images, ImageFiles) and not dataset[0, 0]["problem"]
    assert caplog.text.count("so pictures are read each time; set data.cache_dir") == 1


def damage(folder: Path, what: str) -> None:
    if what == "cut":
        os.truncate(folder / "crops.bin", 100)
    elif what == "foreign":
        (folder / "index.npy").write_bytes(b"<html>")
    elif what == "gone":
        (folder / "pictures.npy").unlink()
    else:
        crops = np.load(folder / "index.npy")
        np.save(folder / "index.npy", crops[:3])


@pytest.mark.parametrize("what", ["cut", "foreign", "gone", "short"])
def test_a_damaged_cache_is_made_again_with_one_warning(
    cached: Callable[..., PoseDataset], tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    before = crops(cached("raw"), 1)
    damage(folders(tmp_path)[0], what)
    caplog.clear()
    assert np.array_equal(crops(cached("raw"), 1), before)
    assert caplog.text.count("is made again: ") == 1 and len(folders(tmp_path)) == 1


def test_a_damaged_crop_is_read_from_its_picture_with_one_warning(
    cached: Callable[..., PoseDataset], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cached("jpeg")
    path = folders(tmp_path)[0] / "crops.bin"
    path.write_bytes(b"\0" * path.stat().st_size)
    dataset = cached("jpeg")
    assert not any(dataset[0, person]["problem"] for person in range(len(dataset)))
    assert caplog.text.count("its pictures are read instead") == 1


def test_a_picture_that_changed_under_its_name_makes_the_cache_again(
    cached: Callable[..., PoseDataset], synthetic: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = Path(shutil.copytree(synthetic, tmp_path / "data"))
    before = crops(cached("raw", f"data.root={root}"), 1)
    picture = sorted((root / "train").iterdir())[3]
    pixels = cv2.imread(str(picture))
    cv2.imwrite(str(picture), 255 - pixels)
    after = crops(cached("raw", f"data.root={root}"), 1)
    assert "1 pictures have changed since" in caplog.text
    assert np.abs(before - after).max() > 100
