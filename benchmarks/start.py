"""Start-up, and what COCO-size annotations cost in memory."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import inputs
import numpy as np
from bench import Bench
from measuring import Row, cpu_seconds, growth_mib, in_a_fork

from rlepose.config.config import Config
from rlepose.datasets.crops import PoseDataset
from rlepose.datasets.images import View
from rlepose.datasets.of_config import training_dataset
from rlepose.datasets.options import DataConfig


def rows(bench: Bench) -> list[Row]:
    """Each measured in a fresh process, or in a forked one as a loader's worker is."""
    persons, pictures = (200, 80) if bench.quick else (inputs.TRAIN_PERSONS, inputs.TRAIN_PICTURES)
    root = bench.folder / "large"
    annotations = "annotations/person_keypoints_train2017.json"
    inputs.write_coco(root / annotations, pictures, persons)
    inputs.touch_pictures(root / "train2017", pictures)
    official = partial(bench.official, "memory", root=str(root), annotations=annotations)
    load = partial(_dataset, root, bench.folder / "arrays")
    size = f"{persons:,} persons"
    return [
        Row("import all that training needs, beyond torch", "s", {"ours": _import}),
        Row(
            f"annotations of {size}: start",
            "s",
            {
                **official(of="start"),
                "ours, first": partial(_start, root, bench.folder / "empty", forget=True),
                "ours": partial(_start, root, bench.folder / "arrays"),
            },
        ),
        Row(
            f"annotations of {size}: parent's memory",
            "MiB",
            {
                **official(of="parent"),
                "ours": lambda: in_a_fork(lambda: growth_mib(load)),
            },
            exact=True,
        ),
        Row(
            f"annotations of {size}: a worker's own memory after an epoch",
            "MiB",
            {**official(of="worker"), "ours": lambda: _worker(load())},
            exact=True,
        ),
    ]


def _import() -> float:
    code = (
        "import torch, time; t = time.process_time(); import rlepose.training.trainer; print(time.process_time() - t)"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def _dataset(root: Path, cache_dir: Path) -> PoseDataset:
    """As the trainer builds it, with the look whether all pictures are there."""
    data = DataConfig(root=str(root), input_size_hw=inputs.INPUT_SIZE_HW, cache_dir=str(cache_dir))
    return training_dataset(Config(data=data))


def _start(root: Path, cache_dir: Path, forget: bool = False) -> float:
    """Processor seconds to the data set; `forget`: without the arrays of an earlier start."""
    if forget:
        shutil.rmtree(cache_dir, ignore_errors=True)
    else:
        _dataset(root, cache_dir)
    return in_a_fork(lambda: cpu_seconds(lambda: _dataset(root, cache_dir)))


class Black:
    """An ImageSource without pictures."""

    view_of_all = View(np.zeros((8, 8, 3), np.uint8), np.ones(2), np.zeros(2))

    def view(self, person: int) -> View:
        return self.view_of_all


def _worker(dataset: PoseDataset) -> float:
    """MiB that are a worker's own after it has made every item once; only pictures are left out."""
    dataset.images = Black()

    def one_epoch() -> None:
        for person in range(len(dataset)):
            dataset[0, person]

    return in_a_fork(lambda: growth_mib(one_epoch))
