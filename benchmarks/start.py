"""Start-up, and what COCO-size annotations cost in memory."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import inputs
import numpy as np
from bench import Bench
from measuring import Row, cpu_seconds, growth_mib, in_a_fork

import rlepose.datasets.loading as loading
from rlepose.config import AugmentConfig
from rlepose.datasets.coco import CocoFile, persons_from_annotations
from rlepose.datasets.loading import PoseDataset


def rows(bench: Bench) -> list[Row]:
    """Each measured in a fresh process, or in a forked one as a loader's worker is."""
    annotations = "annotations/person_keypoints_train2017.json"
    root = bench.folder / "large"
    persons, pictures = (200, 80) if bench.quick else (inputs.TRAIN_PERSONS, inputs.TRAIN_PICTURES)
    file = inputs.write_coco(root / annotations, pictures, persons)
    official = partial(bench.official, "memory", root=str(root), annotations=annotations)
    size = f"{persons:,} persons"
    return [
        Row("import all that training needs, beyond torch", "s", {"ours": _import}),
        Row(
            f"annotations of {size}: start",
            "s",
            {**official(of="start"), "ours": lambda: in_a_fork(lambda: cpu_seconds(lambda: _dataset(file)))},
        ),
        Row(
            f"annotations of {size}: parent's memory",
            "MiB",
            {**official(of="parent"), "ours": lambda: in_a_fork(lambda: growth_mib(lambda: _dataset(file)))},
            exact=True,
        ),
        Row(
            f"annotations of {size}: a worker's own memory after an epoch",
            "MiB",
            {**official(of="worker"), "ours": partial(_worker, file)},
            exact=True,
        ),
    ]


def _import() -> float:
    code = "import torch, time; t = time.process_time(); import rlepose.engine.trainer; print(time.process_time() - t)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def _dataset(file: Path) -> PoseDataset:
    """As the trainer builds it, but for the look whether the pictures are there."""
    coco = CocoFile(file)
    table = persons_from_annotations(coco, file.parent.parent / "train2017")
    return PoseDataset(table, coco.skeleton(), inputs.INPUT_SIZE_HW, inputs.PADDING, AugmentConfig())


def _worker(file: Path) -> float:
    """MiB that are a worker's own after it has made every item once; only pictures are left out."""
    dataset = _dataset(file)
    width, height = inputs.PICTURE_WH
    picture, crop = np.zeros((height, width, 3), np.uint8), np.zeros((*inputs.INPUT_SIZE_HW, 3), np.uint8)

    def one_epoch() -> None:
        # In the child alone.
        loading.read_image = lambda path: picture
        loading.warp_crop = lambda image, matrix, size_hw: crop
        for person in range(len(dataset)):
            dataset[0, person]

    return in_a_fork(lambda: growth_mib(one_epoch))
