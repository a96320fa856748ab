"""The training data of a config."""

from pathlib import Path

from rlepose.config import Config
from rlepose.datasets.augment import reachable_region
from rlepose.datasets.coco_file import category_skeleton
from rlepose.datasets.crop_cache import crop_cache
from rlepose.datasets.labelled import labelled_persons
from rlepose.datasets.loading import PoseDataset


def training_dataset(config: Config) -> PoseDataset:
    """The training persons, read from picture files."""
    data = config.data
    root = Path(data.root)
    annotations = root / data.train_annotations
    labelled = labelled_persons(annotations, data.category, root / data.train_images, _cache_dir(config))
    skeleton = category_skeleton(labelled.category, annotations, data.oks_sigmas)
    table = labelled.table.with_pictures(data.on_bad_image)
    return PoseDataset(
        table,
        skeleton,
        data.input_size_hw,
        data.box_scale,
        config.augment,
        config.train.seed,
        hidden_weight=config.loss.hidden_weight,
    )


def use_crop_cache(dataset: PoseDataset, config: Config) -> None:
    """Have the training persons read from the crop cache that the config asks for; it is made if it is not there."""
    data, table, scale = config.data, dataset.table, dataset.scale
    if data.cache == "none":
        return
    reach = reachable_region(config.augment, dataset.skeleton, dataset.center, scale, table.keypoints, table.visible)
    shrink = data.input_size_hw[1] / scale[:, 0]  # pixels of the plain crop per pixel of the picture
    dataset.images = crop_cache(_cache_dir(config), data.cache, table, reach, shrink, data.on_bad_image)


def _cache_dir(config: Config) -> Path:
    data = config.data
    return Path(data.root) / "rlepose_cache" if data.cache_dir is None else Path(data.cache_dir)
