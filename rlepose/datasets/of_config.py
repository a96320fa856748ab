"""The data of a config: labelled persons of the training or validation file, training data sets, and sample crops."""

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.datasets.augment import reachable_region
from rlepose.datasets.crop_cache import crop_cache
from rlepose.datasets.crops import PoseDataset
from rlepose.datasets.formats.coco_file import category_skeleton
from rlepose.datasets.formats.h36m_npz import read_h36m
from rlepose.datasets.formats.mpii import persons_as_h36m
from rlepose.datasets.joined import joined
from rlepose.datasets.labelled import labelled_persons
from rlepose.datasets.loss_weights import category_factors, joint_factors
from rlepose.datasets.options import DataConfig
from rlepose.datasets.persons import PersonTable
from rlepose.datasets.persons3d import Person3DTable, with_2d_persons
from rlepose.datasets.picture_survey import bit_depth, survey, warn_of_orientation
from rlepose.errors import InputError
from rlepose.pose.skeleton import H36M, H36M_ROOT, Skeleton

Split = Literal["train", "val"]


def labelled_table(config: Config, split: Split) -> tuple[PersonTable, Skeleton]:
    """Return the persons of the training or validation file, and their joints."""
    data = config.data
    if split == "val":
        return TABLES[data.format](config, Path(data.root) / data.val_annotations, Path(data.root) / data.val_images)
    files = training_files(data)
    tables, skeletons = zip(*(TABLES[data.format](config, *file) for file in files), strict=True)
    if len(files) == 1 and data.train_weights is None:
        return tables[0], skeletons[0]
    return joined(tables, skeletons, [annotations for annotations, _ in files], data.train_weights)


def training_files(data: DataConfig) -> list[tuple[Path, Path]]:
    """Return the annotation file and the picture folder of each part of the training data."""
    files = (data.train_annotations,) if isinstance(data.train_annotations, str) else data.train_annotations
    folders = (data.train_images,) * len(files) if isinstance(data.train_images, str) else data.train_images
    return [(Path(data.root) / file, Path(data.root) / folder) for file, folder in zip(files, folders, strict=True)]


def _coco_table(config: Config, annotations: Path, images: Path) -> tuple[PersonTable, Skeleton]:
    data = config.data
    labelled = labelled_persons(annotations, data.category, images, _cache_dir(config), data.missing_boxes)
    return labelled.table, category_skeleton(labelled.category, annotations, data.oks_sigmas, data.flip_pairs)


def read_as(data: DataConfig, table: PersonTable) -> PersonTable:
    """Return the table with pictures read as `data.exif` and `data.bit_depth` say."""
    return dataclasses.replace(table, upright=data.exif == "apply", bits=data.bit_depth or 16)


def with_bit_depth(config: Config, table: PersonTable) -> Config:
    """Return the config with the depth of the table's 16-bit pictures filled in, if any; warn of turned pictures."""
    if config.data.format != "coco":
        return config
    found = survey(table)
    warn_of_orientation(read_as(config.data, table), found)
    bits = config.data.bit_depth or bit_depth(found)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, bit_depth=bits))


def _h36m_table(config: Config, annotations: Path, images: Path) -> tuple[PersonTable, Skeleton]:
    return read_h36m(annotations, images), H36M


# By data.format.
TABLES = {"coco": _coco_table, "h36m": _h36m_table}


def training_dataset(config: Config, labelled: tuple[PersonTable, Skeleton] | None = None) -> PoseDataset:
    """Return the training persons, read from picture files. labelled: what `labelled_table` returned for them."""
    data = config.data
    table, skeleton = labelled or labelled_table(config, "train")
    table = read_as(data, table)
    if isinstance(table, Person3DTable):
        table = _trained_in_space(config, table)
    table = table.with_pictures(data.on_bad_image)
    return PoseDataset(
        table,
        skeleton,
        data.input_size_hw,
        _box_scale(config, table),
        config.augment,
        config.train.seed,
        hidden_weight=config.loss.hidden_weight,
        outside_weight=config.loss.outside_weight,
        joint_weights=joint_factors(config.loss.joint_weights, skeleton),
        person_weights=category_factors(config.loss.category_weights, table),
    )


def _trained_in_space(config: Config, table: Person3DTable) -> Person3DTable:
    data, root = config.data, Path(config.data.root)
    if not config.loss.root_depth:
        depth = table.depth.copy()
        depth[:, H36M_ROOT] = np.nan
        table = dataclasses.replace(table, depth=depth)
    if data.extra_annotations is not None and data.extra_images is not None:
        table = with_2d_persons(table, persons_as_h36m(root / data.extra_annotations, root / data.extra_images))
    return table


def _box_scale(config: Config, table: PersonTable) -> NDArray[np.floating]:
    """Return (N,) the size of a training person's crop relative to the box."""
    data = config.data
    extra = data.box_scale if data.extra_box_scale is None else data.extra_box_scale
    return np.where(np.arange(len(table)) < persons_with_depth(table), data.box_scale, extra)


def crops_of(config: Config, split: Split, count: int) -> NDArray[np.uint8]:
    """Return at most `count` crops of persons spread evenly over a file: (N, 3, H, W) RGB uint8, not augmented.

    Raises InputError if none of the pictures can be read.
    """
    table, skeleton = labelled_table(config, split)
    table = read_as(config.data, table).with_pictures("skip")
    dataset = PoseDataset(table, skeleton, config.data.input_size_hw, config.data.box_scale)
    chosen = np.unique(np.linspace(0, len(table) - 1, count).astype(int))
    items = [dataset[0, int(person)] for person in chosen]
    crops = [item["image"].numpy() for item in items if not item["problem"]]
    if not crops:
        raise InputError(f"{table.image_root}: none of the pictures can be read; pass --set data.root=FOLDER")
    return np.stack(crops)


def persons_with_depth(table: PersonTable) -> int:
    """Return the number of persons, first in the table, who make up a batch alone or, if others follow, half of it."""
    return table.num_with_depth if isinstance(table, Person3DTable) else len(table)


def use_crop_cache(dataset: PoseDataset, config: Config) -> None:
    """Let the training persons be read from the config's crop cache, which is made if it does not exist."""
    data, table, scale = config.data, dataset.table, dataset.scale
    if data.cache == "none":
        return
    reach = reachable_region(config.augment, dataset.skeleton, dataset.center, scale, table.keypoints, table.visible)
    plain = data.input_size_hw[1] / scale[:, 0]  # px of a plain crop per px of the picture
    shrink = data.cache_resolution * plain
    cache = crop_cache(_cache_dir(config), data.cache, table, reach, shrink, data.on_bad_image)
    if cache is not None:
        dataset.images = cache


def _cache_dir(config: Config) -> Path:
    data = config.data
    return Path(data.root) / "rlepose_cache" if data.cache_dir is None else Path(data.cache_dir)
