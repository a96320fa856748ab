"""Training items and detected boxes, from pictures on disk and from the crop cache."""

import json
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import inputs
import numpy as np
from bench import Bench
from measuring import Row, cpu_seconds, stopwatch

from rlepose.config.config import Config
from rlepose.datasets import images
from rlepose.datasets.batches import EvalBatches
from rlepose.datasets.crops import PoseDataset, collate
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.formats.detections import persons_from_detections
from rlepose.datasets.loading import make_loader
from rlepose.datasets.of_config import training_dataset, use_crop_cache
from rlepose.datasets.options import DataConfig

STAGES = {"decode": "… read and decode", "warp": "… warp", "rest": "… the rest"}
CACHES = {"ours": "none", "ours, jpeg cache": "jpeg", "ours, raw cache": "raw"}


def rows(bench: Bench) -> list[Row]:
    """One core, processor time; files are in the disk's cache. Persons come in random order, as in training."""
    items, root = bench.size(200, 4), str(bench.data.resolve())
    cache_dir = bench.folder / "cache"
    datasets = {side: _dataset(bench.data, kind, cache_dir) for side, kind in CACHES.items()}
    # Every call takes another epoch, so that no augmentation returns.
    epochs = count()
    detections = _detection_file(bench)
    return [
        Row(
            "training item",
            "ms",
            {
                **bench.official("item", root=root, count=items, stage="all"),
                **{side: partial(_item, dataset, epochs, items, "all") for side, dataset in datasets.items()},
            },
        ),
        *(
            Row(
                name,
                "ms",
                {
                    **bench.official("item", root=root, count=items, stage=stage),
                    "ours": partial(_item, datasets["ours"], epochs, items, stage),
                },
            )
            for stage, name in STAGES.items()
        ),
        Row(
            "training item, collated in batches of 32",
            "ms",
            {
                **bench.official("batch", root=root, count=items),
                **{side: partial(_batch, dataset, epochs, items) for side, dataset in datasets.items()},
            },
        ),
        Row(
            "stored for a person",
            "KB",
            {"ours": partial(_picture_kb, datasets["ours"])}
            | {
                side: partial(_crop_kb, cache_dir, kind, len(datasets[side]))
                for side, kind in CACHES.items()
                if kind != "none"
            },
            exact=True,
        ),
        Row(
            "difference of a crop from that of the file, mean",
            "levels",
            {
                side: partial(_difference, datasets["ours"], datasets[side], items)
                for side, kind in CACHES.items()
                if kind != "none"
            },
            exact=True,
        ),
        *(
            Row(
                name,
                unit,
                {
                    **bench.official("boxes", root=root, detections=str(detections), decodes=decodes),
                    "ours": partial(_boxes, bench.data, detections, decodes),
                },
                exact=decodes,
            )
            for name, unit, decodes in (
                ("detected box, 20 a picture", "ms", False),
                ("decodes of a picture with 20 boxes", "decodes", True),
            )
        ),
    ]


def _dataset(data: Path, cache: str, cache_dir: Path) -> PoseDataset:
    """As the trainer has it."""
    options = DataConfig(root=str(data), input_size_hw=inputs.INPUT_SIZE_HW, cache=cache, cache_dir=str(cache_dir))
    config = Config(data=options)
    dataset = training_dataset(config)
    use_crop_cache(dataset, config)
    return dataset


def _keys(dataset: PoseDataset, epoch: int, items: int) -> list[tuple[int, int]]:
    order = np.random.default_rng(epoch).permutation(len(dataset))
    return [(epoch, int(person)) for person in np.resize(order, items)]


def _item(dataset: PoseDataset, epochs: "count[int]", items: int, stage: str) -> float:
    """ms an item: the whole, or a stage of it."""
    keys = _keys(dataset, next(epochs), items)
    with stopwatch(images, "read_labelled_image") as decode, stopwatch(images, "warp_crop") as warp:
        total = cpu_seconds(lambda: [dataset[key] for key in keys])
    stages = {"decode": sum(decode), "warp": sum(warp)}
    return (stages | {"all": total, "rest": total - sum(stages.values())})[stage] / items * 1e3


def _batch(dataset: PoseDataset, epochs: "count[int]", items: int) -> float:
    keys = _keys(dataset, next(epochs), items)

    def load() -> None:
        for start in range(0, items, 32):
            collate([dataset[key] for key in keys[start : start + 32]])

    return cpu_seconds(load) / items * 1e3


def _picture_kb(dataset: PoseDataset) -> float:
    """Mean size of the file that an item reads."""
    return float(np.mean([dataset.table.image_path(person).stat().st_size for person in range(len(dataset))])) / 1e3


def _crop_kb(cache_dir: Path, kind: str, persons: int) -> float:
    (crops,) = cache_dir.glob(f"crops-{kind}-*/crops.bin")
    return crops.stat().st_size / persons / 1e3


def _difference(truth: PoseDataset, dataset: PoseDataset, items: int) -> float:
    """Mean of |grey levels| over the pixels of augmented crops."""
    keys = _keys(truth, 0, items)
    return float(np.mean([(dataset[key]["image"].float() - truth[key]["image"]).abs().mean() for key in keys]))


def _detection_file(bench: Bench) -> Path:
    """20 boxes on each validation picture: its persons' boxes over and over, each time a little elsewhere."""
    tree = json.loads((bench.data / "annotations" / "person_keypoints_val2017.json").read_text())
    by_picture: dict[int, list[list[float]]] = {}
    for person in tree["annotations"]:
        by_picture.setdefault(person["image_id"], []).append(person["bbox"])
    found = [
        {"image_id": image, "category_id": 1, "bbox": [x + i, y + i, w, h], "score": 0.5}
        for image, own in list(by_picture.items())[: bench.size(20, 2)]
        for i in range(20)
        for x, y, w, h in [own[i % len(own)]]
    ]
    path = bench.folder / "detections.json"
    path.write_text(json.dumps(found))
    return path


def _boxes(data: Path, detections: Path, decodes: bool) -> float:
    """ms a box, or decodes a picture, as validation loads them."""
    coco = CocoFile(data / "annotations" / "person_keypoints_val2017.json")
    table = persons_from_detections(coco, data / "val2017", detections, coco.groups)
    dataset = PoseDataset(table, coco.skeleton(), inputs.INPUT_SIZE_HW, inputs.PADDING)
    loader = make_loader(dataset, EvalBatches(table.image_index, 64), workers=0, pin_memory=False)
    load: Callable[[], object] = lambda: [len(batch) for batch in loader]  # noqa: E731
    with stopwatch(images, "read_labelled_image") as reads:
        seconds = cpu_seconds(load)
    return len(reads) / len(np.unique(table.image_index)) if decodes else seconds * 1e3 / len(dataset)
