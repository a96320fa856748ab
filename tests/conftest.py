"""What several tests share: the reference values, real pictures, and a tiny data set."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlepose.datasets.synthetic import write_synthetic

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    """Small problems are slower on many threads, and equal results want equal threads."""
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def reference() -> Mapping[str, NDArray]:
    """What the RLE authors' code computes; tests/data/README.md says what the keys hold."""
    return np.load(REPOSITORY / "tests" / "data" / "reference.npz")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with coco_mini/ and lspet/: photographs in COCO's layout."""
    folder = os.environ.get("RLEPOSE_TEST_DATA")
    if not folder:
        pytest.skip("RLEPOSE_TEST_DATA is not set: no real pictures to test on")
    return Path(folder)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic data set of 24 training and 12 validation pictures."""
    root = tmp_path_factory.mktemp("synthetic")
    write_synthetic(root, "train", 24, seed=0)
    write_synthetic(root, "val", 12, seed=0)
    return root
