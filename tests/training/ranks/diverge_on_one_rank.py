"""Run under torchrun: a statistic of rank 1 alone is NaN, as was its loss; every rank must end with the same words.

Argument: annotation file.
"""

import sys
from pathlib import Path

import torch

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import DivergedError
from rlepose.runtime.distributed import ranks
from rlepose.runtime.options import SystemConfig
from rlepose.training.nonfinite import NonFinite
from rlepose.training.saving import BackgroundSaver


def main() -> None:
    path = Path(sys.argv[1])
    with ranks(SystemConfig(device="cpu", timeout_s=60)) as group:
        table = persons_from_annotations(CocoFile(path), path.parent)
        nonfinite = NonFinite(
            lambda row: f"annotation {table.person_ids[row]}", group, path.with_name("last.pt"), BackgroundSaver()
        )
        own = torch.tensor([torch.nan if group.rank == 1 else 0.0])
        nonfinite.see(own, torch.tensor([0]))
        try:
            nonfinite.check_weights([torch.zeros(2), own], 1)
        except DivergedError as error:
            print(error)
        assert group.gather(group.rank) == [0, 1], "the ranks are out of step"


if __name__ == "__main__":
    main()
