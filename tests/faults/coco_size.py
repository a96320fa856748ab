"""Run by the tests: loads batches of a large annotation file, and prints what that takes as JSON.

Arguments: annotation file, folder of the pictures, folder of the parsed arrays, epochs. Memory is each process's share
of what it uses together with others (PSS, MB), the main process first, then the workers, after every epoch; `imports`
is the main process's before it has any data, `arrays` the size of the files that all map, and `seconds` is how long it
takes from there to the first batch.
"""

import json
import sys
import time
from pathlib import Path

import torch
import torch.multiprocessing

from rlepose.datasets.batches import TrainBatches
from rlepose.datasets.crops import PoseDataset
from rlepose.datasets.formats.coco_file import category_skeleton
from rlepose.datasets.labelled import labelled_persons
from rlepose.datasets.loading import make_loader
from rlepose.datasets.options import AugmentConfig
from rlepose.training import trainer  # noqa: F401 - all that a training imports

_STEPS, _WORKERS = 20, 2


def share(process: int) -> float:
    """MB; without files in memory, of which the libraries' part depends on what else runs."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:"))) / 1000


if __name__ == "__main__":
    annotations, pictures, arrays = map(Path, sys.argv[1:4])
    torch.set_num_threads(1)
    own = Path("/proc/self").resolve().name
    imports, started = share(int(own)), time.perf_counter()
    labelled = labelled_persons(annotations, None, pictures, arrays)
    table = labelled.table.with_pictures("error")
    dataset = PoseDataset(table, category_skeleton(labelled.category, annotations), (64, 64), 1.25, AugmentConfig())
    batches = TrainBatches(len(table), 16, seed=0)
    loader = make_loader(dataset, batches, _WORKERS, pin_memory=False)
    memory: list[list[float]] = []
    for batches.epoch in range(int(sys.argv[4])):
        batches.first_step = len(batches) - _STEPS  # the epoch's end: all of its order is drawn
        for number, _ in enumerate(loader):
            if not memory and not number:
                seconds = time.perf_counter() - started
        workers = [child.pid for child in torch.multiprocessing.active_children()]
        memory.append([share(process) for process in (int(own), *workers) if process is not None])
    mapped = sum(file.stat().st_size for file in arrays.rglob("*.npy")) / 1e6
    told = {"persons": len(table), "imports": imports, "arrays": mapped, "seconds": seconds, "memory": memory}
    print(json.dumps(told))
