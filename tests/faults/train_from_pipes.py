"""`scripts/train.py` for data sets with a `Gate`: a pipe stands for a picture on a disk that hangs."""

import rlepose.datasets.images
from rlepose.cli import run_as_script


def _accept(path: object) -> None:
    """Accept pipes, which training refuses."""


rlepose.datasets.images.refuse_special = _accept

if __name__ == "__main__":
    run_as_script("train")
