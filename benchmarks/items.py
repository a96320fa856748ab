"""Training items and detected boxes, from pictures on disk."""

import json
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import inputs
from bench import Bench
from measuring import Row, cpu_seconds, stopwatch

import rlepose.datasets.loading as loading
from rlepose.config import AugmentConfig
from rlepose.datasets.batches import EvalBatches
from rlepose.datasets.coco import CocoFile, persons_from_annotations, persons_from_detections
from rlepose.datasets.loading import PoseDataset, collate, make_loader

STAGES = {"all": "training item from a file", "decode": "… read and decode", "warp": "… warp", "rest": "… the rest"}
PADDING = inputs.PADDING


def rows(bench: Bench) -> list[Row]:
    """One core, processor time; pictures are in the disk's cache."""
    items = bench.size(200, 4)
    dataset, epochs = _training_set(bench.data), count()
    root = {"root": str(bench.data.resolve())}
    detections = _detection_file(bench)
    return [
        *(
            Row(
                name,
                "ms",
                {
                    **bench.official("item", **root, count=items, stage=stage),
                    "ours": partial(_item, dataset, epochs, items, stage),
                },
            )
            for stage, name in STAGES.items()
        ),
        Row(
            "training item, collated in batches of 32",
            "ms",
            {**bench.official("batch", **root, count=items), "ours": partial(_batch, dataset, epochs, items)},
        ),
        *(
            Row(
                name,
                unit,
                {
                    **bench.official("boxes", **root, detections=str(detections), decodes=decodes),
                    "ours": partial(_boxes, bench.data, detections, decodes),
                },
                exact=decodes,
            )
            for name, unit, decodes in (
                ("detected box, 20 a picture", "ms", False),
                ("pictures decoded for a detected box", "pictures", True),
            )
        ),
    ]


def _training_set(data: Path) -> PoseDataset:
    coco = CocoFile(data / "annotations" / "person_keypoints_train2017.json")
    table = persons_from_annotations(coco, data / "train2017")
    return PoseDataset(table, coco.skeleton(), inputs.INPUT_SIZE_HW, PADDING, AugmentConfig())


def _item(dataset: PoseDataset, epochs: "count[int]", items: int, stage: str) -> float:
    """ms an item: the whole, or a stage of it. Every call is another epoch, so that no augmentation returns."""
    epoch = next(epochs)
    with stopwatch(loading, "read_image") as decode, stopwatch(loading, "warp_crop") as warp:
        total = cpu_seconds(lambda: [dataset[epoch, i % len(dataset)] for i in range(items)])
    stages = {"decode": sum(decode), "warp": sum(warp)}
    return (stages | {"all": total, "rest": total - sum(stages.values())})[stage] / items * 1e3


def _batch(dataset: PoseDataset, epochs: "count[int]", items: int) -> float:
    epoch = next(epochs)

    def load() -> None:
        for start in range(0, items, 32):
            collate([dataset[epoch, i % len(dataset)] for i in range(start, min(start + 32, items))])

    return cpu_seconds(load) / items * 1e3


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
    """ms, or pictures decoded, a box, as the validator loads them."""
    coco = CocoFile(data / "annotations" / "person_keypoints_val2017.json")
    table = persons_from_detections(coco, data / "val2017", detections)
    dataset = PoseDataset(table, coco.skeleton(), inputs.INPUT_SIZE_HW, PADDING)
    loader = make_loader(dataset, EvalBatches(len(dataset), 64), workers=0, pin_memory=False)
    load: Callable[[], object] = lambda: [len(batch["index"]) for batch in loader]  # noqa: E731
    with stopwatch(loading, "read_image") as reads:
        seconds = cpu_seconds(load)
    return (len(reads) if decodes else seconds * 1e3) / len(dataset)
