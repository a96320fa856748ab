"""What several tests share: the reference values, real pictures, and a tiny data set."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.config.reading import load_config
from rlepose.drawn_people.people import write_synthetic
from rlepose.drawn_people.people_in_space import write_h36m, write_mpii
from rlepose.evaluation.recalibration import Recalibration
from rlepose.losses import LOSSES, build_criterion
from rlepose.models.pose_model import build_model
from rlepose.pose.skeleton import COCO
from rlepose.preparation.coco_layout import CONVERSIONS, convert_file
from rlepose.preparation.sources import SOURCES
from rlepose.runtime.checkpoint import Checkpoint, save_checkpoint
from tests.drawn_datasets import draw_dataset

REPOSITORY = Path(__file__).parent.parent
FOLDERS = ("RLEPOSE_TEST_DATA", "RLEPOSE_TEST_REFERENCE", "RLEPOSE_TEST_CASES")  # variables that may name one


def pytest_configure() -> None:
    """End the run where a variable names a folder that is not there, instead of tests that fail one by one."""
    for variable in FOLDERS:
        folder = os.environ.get(variable)
        if folder and not Path(folder).is_dir():
            raise pytest.UsageError(f"{variable}: there is no folder {folder}; correct the variable or unset it")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small problems are slower on many threads, and equal results want equal threads."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _scrambled_generator(request: pytest.FixtureRequest) -> None:
    """Start each test from a generator state of its own, whatever ran before: code that needs a seed has to set it."""
    torch.manual_seed(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(scope="session")
def reference() -> Mapping[str, NDArray]:
    """What the RLE authors' code computes; tests/data/README.md says what the keys hold."""
    return np.load(REPOSITORY / "tests" / "data" / "reference.npz")


@pytest.fixture(scope="session")
def reference3d() -> Mapping[str, NDArray]:
    """The authors' code's alignment and camera geometry."""
    return np.load(REPOSITORY / "tests" / "data" / "pose3d.npz")


def folder_of(variable: str, what: str) -> Path:
    """The folder that an environment variable names; skips the test where it is not set."""
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} is not set: no {what}")
    return Path(folder)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with coco_mini/, faces/, livestock/ and lspet/: photographs in COCO's layout."""
    return folder_of("RLEPOSE_TEST_DATA", "real pictures to test on")


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """Folder with numbers that public code computed."""
    return folder_of("RLEPOSE_TEST_REFERENCE", "reference numbers to test against")


@pytest.fixture(scope="session")
def case_folder() -> Path:
    """Folder with inputs that are odd in one respect each."""
    return folder_of("RLEPOSE_TEST_CASES", "odd inputs to test on")


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic data set of 24 training and 12 validation pictures."""
    root = tmp_path_factory.mktemp("synthetic")
    write_synthetic(root, "train", 24, seed=0)
    write_synthetic(root, "val", 12, seed=0)
    return root


@pytest.fixture(scope="session")
def dataset_files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """dataset_files('halpe26') -> folder with four pictures a split in that data set's layout, converted."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            draw_dataset(made[name], name)
            for source, target, conversion in SOURCES[name].converted:
                convert_file(made[name] / source, made[name] / target, CONVERSIONS[conversion])
        return made[name]

    return make


@pytest.fixture(scope="session")
def synthetic_3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set in space: 160 training, 64 test and 10 two-dimensional pictures."""
    root = tmp_path_factory.mktemp("synthetic_3d")
    write_h36m(root / "h36m", "train", 1, seed=0)
    write_h36m(root / "h36m", "test", 1, seed=0)
    write_mpii(root / "mpii", 10, seed=0)
    return root


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., Path]:
    """write_coco(persons=…, pictures=…, category=…, **top) -> path of an annotation file below tmp_path.

    Each entry says only how it differs from one valid person, picture or category of three joints; the value `...`
    takes a key out. `top` replaces whole lists. Ids count from 1.
    """
    person = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 60, 50], "area": 2500, "iscrowd": 0}
    person["keypoints"] = [30, 15, 2, 50, 40, 2, 20, 41, 1]
    picture = {"file_name": "picture.png", "width": 100, "height": 80}
    kind = {"id": 1, "name": "person", "keypoints": ["nose", "left_hip", "right_hip"], "skeleton": [[1, 2], [1, 3]]}

    def changed(valid: Mapping[str, Any], entry: Mapping[str, Any], number: int) -> dict[str, Any]:
        return {k: v for k, v in {"id": number, **valid, **entry}.items() if v is not ...}

    def write(
        persons: Sequence[Mapping[str, Any]] = ({},),
        pictures: Sequence[Mapping[str, Any]] = ({},),
        category: Mapping[str, Any] | None = None,
        **top: Any,
    ) -> Path:
        tree = {
            "images": [changed(picture, entry, number) for number, entry in enumerate(pictures, 1)],
            "annotations": [changed(person, entry, number) for number, entry in enumerate(persons, 1)],
            "categories": [changed(kind, category or {}, 1)],
        }
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps({k: v for k, v in (tree | top).items() if v is not ...}))
        return path

    return write


@pytest.fixture
def tiny_overrides(synthetic: Path, tmp_path: Path) -> list[str]:
    """Options that shrink the synthetic config to seconds. ConvNeXt has no batch statistics, so that one batch and
    two halves of it give equal losses."""
    return [
        f"data.root={synthetic}",
        f"output_dir={tmp_path / 'exp'}",
        "data.input_size_hw=[64, 64]",
        "model.backbone.name=convnext_atto",
        "train.epochs=2",
        "train.batch_size=8",
        "train.optimizer.lr=0.001",
        "train.schedule={name: step, milestones: [], warmup_epochs: 0}",
        "train.validate_every=1",
        "train.log_every=1",
        "eval.pictures=2",
        "system.workers=0",
        "system.device=cpu",
        "system.precision=float32",
    ]


@pytest.fixture
def tiny_config(tiny_overrides: list[str]) -> Callable[..., Config]:
    """tiny_config('train.epochs=3', …) -> Config."""

    def make(*overrides: str) -> Config:
        return load_config(REPOSITORY / "configs" / "synthetic_res18_rle.yaml", [*tiny_overrides, *overrides])

    return make


@pytest.fixture
def checkpoint(tiny_config: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """checkpoint('loss.name=l1', …, recalibration=…) -> a file with random weights whose output varies. The loss is
    laplace, which is fast, where nothing else is said."""

    def make(*overrides: str, recalibration: Recalibration | None = None) -> Path:
        config = tiny_config("name=tiny", "loss.name=laplace", *overrides)
        torch.manual_seed(0)
        model = build_model(config.model, 17, LOSSES[config.loss.name].needs_sigma)
        for name, weight in model.head.named_parameters():
            if name.endswith("weight") and weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.3)
        criterion = build_criterion(config.loss, 17)
        path = tmp_path / "tiny.pt"
        save_checkpoint(
            path, Checkpoint(config, COCO, model.state_dict(), criterion.state_dict(), {}, {}, {}, [], recalibration)
        )
        return path

    return make


@pytest.fixture
def tiny_3d_overrides(synthetic_3d: Path, tmp_path: Path) -> list[str]:
    """The same for the config of the drawn data set in space."""
    return [
        f"data={{root: {synthetic_3d}, cache: none, input_size_hw: [32, 32]}}",
        "data={extra_annotations: mpii/annotations/annot_mpii.json, extra_images: mpii/images}",
        f"output_dir={tmp_path / 'exp'}",
        "model.backbone={name: convnext_atto, options: {}}",
        "train={epochs: 1, batch_size: 32, validate_every: 1, log_every: 1, optimizer: {lr: 0.001}}",
        "train.schedule={name: step, milestones: [], warmup_epochs: 0}",
        "eval.pictures=2",
        "system={workers: 0, device: cpu, precision: float32}",
    ]


@pytest.fixture
def tiny_3d_config(tiny_3d_overrides: list[str]) -> Callable[..., Config]:
    """tiny_3d_config('train.epochs=3', …) -> Config."""

    def make(*overrides: str) -> Config:
        return load_config(REPOSITORY / "configs" / "synthetic_3d_res10_rle.yaml", [*tiny_3d_overrides, *overrides])

    return make


@pytest.fixture(scope="session")
def labels_3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn data set's labels without its pictures: 160 persons to train on, 64 others to test on."""
    root = tmp_path_factory.mktemp("labels_3d")
    for split in ("train", "test"):
        write_h36m(root / "h36m", split, 1, seed=0, pictures=False)
    return root


@pytest.fixture
def lifting_overrides(labels_3d: Path, tmp_path: Path) -> list[str]:
    """Options that shrink the config for lifting to seconds. The loss is laplace, whose spread is no estimate."""
    return [
        f"data.root={labels_3d}",
        f"output_dir={tmp_path / 'exp'}",
        "loss={name: laplace}",
        "model={width: 32, dropout: 0}",
        "train={epochs: 2, batch_size: 32, validate_every: 1, log_every: 1}",
        "eval={pictures: 2, batch_size: 24}",
        "system={device: cpu, precision: float32}",
    ]


@pytest.fixture
def lifting_config(lifting_overrides: list[str]) -> Callable[..., Config]:
    """lifting_config('train.epochs=3', …) -> Config."""

    def make(*overrides: str) -> Config:
        path = REPOSITORY / "configs" / "synthetic_3d_lifting_rle.yaml"
        return load_config(path, [*lifting_overrides, *overrides])

    return make


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """run_script('train.py', '--cfg', …, ranks=2): a script of the project in its own process or, on several ranks,
    under torchrun."""

    def run(script: str, *arguments: object, ranks: int = 1, folder: str = "scripts", **environment: str):
        launcher = [sys.executable]
        if ranks > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        command = [*launcher, str(REPOSITORY / folder / script), *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture
def write_video() -> Callable[..., Path]:
    """write_video(path, codec, frames, fps): noise of 64x48 px that gets redder by 8 a frame, modulo 256."""

    def write_video(path: Path, codec: str, frames: int, fps: float = 20) -> Path:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
        rng = np.random.default_rng(0)
        for number in range(frames):
            frame = rng.integers(0, 50, (48, 64, 3), dtype=np.uint8)
            frame[..., 2] = 8 * number % 256
            writer.write(frame)
        writer.release()
        return path

    return write_video


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[Any]]:
    """run_python(code, raw=False, …): Python code in a process of its own, which may take a minute; raw: what it prints
    stays bytes."""

    def run(code: str, raw: bool = False, **environment: str) -> subprocess.CompletedProcess[Any]:
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=REPOSITORY,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=not raw,
            timeout=60,
        )

    return run
