"""The data of a config: the training persons, and those of either file for whoever needs some."""

import dataclasses
from pathlib import Path

import numpy as np

from rlepose.config import Config
from rlepose.datasets.augment import reachable_region
from rlepose.datasets.coco_file import category_skeleton
from rlepose.datasets.crop_cache import crop_cache
from rlepose.datasets.h36m import ROOT
from rlepose.datasets.h36m_npz import read_h36m
from rlepose.datasets.labelled import labelled_persons
from rlepose.datasets.loading import PoseDataset
from rlepose.datasets.mpii import persons_as_h36m
from rlepose.datasets.persons import PersonTable
from rlepose.datasets.persons3d import Person3DTable, with_2d_persons
from rlepose.skeleton import H36M, Skeleton


def training_dataset(config: Config) -> PoseDataset:
    """The training persons, read from picture files."""
    data = config.data
    table, skeleton = TABLES[data.format](config)
    return PoseDataset(
        table.with_pictures(data.on_bad_image),
        skeleton,
        data.input_size_hw,
        data.box_scale,
        config.augment,
        config.train.seed,
        hidden_weight=config.loss.hidden_weight,
    )


def _coco_table(config: Config) -> tuple[PersonTable, Skeleton]:
    data, root = config.data, Path(config.data.root)
    annotations = root / data.train_annotations
    labelled = labelled_persons(annotations, data.category, root / data.train_images, _cache_dir(config))
    return labelled.table, category_skeleton(labelled.category, annotations, data.oks_sigmas)


def _h36m_table(config: Config) -> tuple[PersonTable, Skeleton]:
    data, root = config.data, Path(config.data.root)
    table = read_h36m(root / data.train_annotations, root / data.train_images)
    if not config.loss.root_depth:
        depth = table.depth.copy()
        depth[:, ROOT] = np.nan
        table = dataclasses.replace(table, depth=depth)
    if data.extra_annotations is not None and data.extra_images is not None:
        table = with_2d_persons(table, persons_as_h36m(root / data.extra_annotations, root / data.extra_images))
    return table, H36M


# By data.format.
TABLES = {"coco": _coco_table, "h36m": _h36m_table}


def persons_with_depth(table: PersonTable) -> int:
    """How many persons, the first ones, a batch is made of alone, or in half where others follow."""
    return table.num_with_depth if isinstance(table, Person3DTable) else len(table)


def use_crop_cache(dataset: PoseDataset, config: Config) -> None:
    """Have the training persons read from the crop cache that the config asks for; it is made if it is not there."""
    data, table, scale = config.data, dataset.table, dataset.scale
    if data.cache == "none":
        return
    reach = reachable_region(config.augment, dataset.skeleton, dataset.center, scale, table.keypoints, table.visible)
    plain = data.input_size_hw[1] / scale[:, 0]  # pixels of a crop without augmentation per pixel of the picture
    shrink = data.cache_resolution * plain
    dataset.images = crop_cache(_cache_dir(config), data.cache, table, reach, shrink, data.on_bad_image)


def _cache_dir(config: Config) -> Path:
    data = config.data
    return Path(data.root) / "rlepose_cache" if data.cache_dir is None else Path(data.cache_dir)
