"""Machines on which workers cannot send their batches: refused before they start, with numbers and a fix."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlepose.config.config import Config
from rlepose.datasets.batches import EvalBatches, TrainBatches
from rlepose.datasets.loading import make_loader
from rlepose.datasets.worker_room import check_room
from rlepose.errors import InputError
from tests.training.running import task_of, trainer_of

REPOSITORY = Path(__file__).parents[2]
MB = 10**6
CONFIG = "configs/synthetic_res18_rle.yaml"
MOUNT = "mount -t tmpfs -o {options} tmpfs {folder} && "

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shared memory is a folder on Linux alone")


@pytest.fixture
def mounted() -> Callable[..., subprocess.CompletedProcess[str]]:
    """mounted(command, {folder: options}, **environment): a command that sees small file systems of its own."""

    def run(command: list[Any], mounts: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
        steps = "".join(MOUNT.format(folder=folder, options=options) for folder, options in mounts.items())
        script = steps + "exec " + shlex.join(map(str, command))
        unshare = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]
        if subprocess.run(
            [*unshare, "sh", "-c", MOUNT.format(folder="/dev/shm", options="size=1m") + "true"]
        ).returncode:
            pytest.skip("may not mount file systems here")
        return subprocess.run(
            [*unshare, "sh", "-c", script],
            cwd=REPOSITORY,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n{code}"]


def training(overrides: list[str], *more: str) -> list[str]:
    return [sys.executable, "scripts/train.py", "--cfg", CONFIG, "--set", *overrides, *more]


def test_a_training_whose_batches_do_not_fit_into_shared_memory_is_refused(
    mounted: Callable[..., Any], tiny_overrides: list[str]
) -> None:
    large = ("data.input_size_hw=[512, 512]", "train.batch_size=2", "system.workers=4")
    result = mounted(training(tiny_overrides, *large), {"/dev/shm": "size=8m"})
    assert result.returncode == 2
    assert re.fullmatch(
        r"error: /dev/shm: 8 MB of shared memory are free, but system\.workers=4 needs \d+ MB: \d+ batches of \d+\.\d "
        r"MB; give the container more \(docker run --shm-size=1g, or --ipc=host\), set system\.workers=\d, or take "
        r"smaller batches",
        result.stderr.strip().splitlines()[-1],
    )


def test_the_coco_recipe_does_not_fit_into_what_docker_gives(mounted: Callable[..., Any]) -> None:
    code = f"from rlepose.datasets.worker_room import check_room\ncheck_room(4, 2, 585, {256 * (3 * 256 * 192 + 280)})"
    result = mounted(python(code), {"/dev/shm": "size=64m"})
    assert "67 MB of shared memory are free, but system.workers=4 needs 378 MB: 10 batches of 37.8 MB;" in result.stderr
    assert "set system.workers=0," in result.stderr


@pytest.mark.faults
def test_a_validation_is_refused_before_its_first_prediction(
    mounted: Callable[..., Any], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    command = [sys.executable, "scripts/validate.py", "--checkpoint", checkpoint(), "--out", tmp_path / "out"]
    options = ["--set", "system.workers=1", "data.input_size_hw=[512, 512]", "eval.batch_size=12"]
    result = mounted([*command, *options], {"/dev/shm": "size=2m"})
    assert result.returncode == 2 and "error: /dev/shm: 2 MB of shared memory are free" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", ["size=0", "size=1g"])
def test_enough_shared_memory_is_enough_also_when_it_has_no_limit(mounted: Callable[..., Any], options: str) -> None:
    result = mounted(
        python("from rlepose.datasets.worker_room import check_room\ncheck_room(4, 2, 100, 10**7)"),
        {"/dev/shm": options},
    )
    assert result.returncode == 0, result.stderr


def test_shared_memory_that_cannot_be_written_is_named(mounted: Callable[..., Any]) -> None:
    code = "from rlepose.datasets.worker_room import check_room\ncheck_room(1, 2, 100, 1)"
    result = mounted(python(code), {"/dev/shm": "ro"})
    assert "InputError: /dev/shm: workers that load pictures send them through shared memory" in result.stderr


def test_shared_memory_that_fills_up_later_ends_the_wait(mounted: Callable[..., Any]) -> None:
    code = """
import torch
from rlepose.datasets import loading
from rlepose.errors import run_script
from rlepose.runtime.lost_processes import told_in_one_sentence

def main():
    pictures = [torch.zeros(10**6, dtype=torch.uint8) for _ in range(8)]
    loader = loading.WatchedLoader(pictures, collate_fn=lambda items: items[0].clone(), num_workers=1, limit_s=50,
                                   persistent_workers=True, worker_init_fn=loading._prepare_worker)
    with told_in_one_sentence():
        batches = list(loader)

run_script(main)
"""
    result = mounted(python(code), {"/dev/shm": "size=3m"})
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "error: a worker that loads pictures could not send its batch (" in result.stderr
    assert "No space left on device" in result.stderr and "--shm-size" in result.stderr


def test_a_training_without_workers_needs_no_shared_memory() -> None:
    check_room(0, 2, 100, 10**15)


def test_a_run_of_few_batches_needs_no_more_room_than_these(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_shared_memory(monkeypatch, 25 * MB)
    check_room(4, 2, 2, 10 * MB)
    with pytest.raises(InputError, match=r"needs 30 MB: 3 batches of 10\.0 MB"):
        check_room(4, 2, 3, 10 * MB)


def test_the_message_names_as_many_workers_as_fit_also_for_several_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_shared_memory(monkeypatch, 130 * MB)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"needs 200 MB: 10 batches of 10\.0 MB on each of 2 ranks;.*workers=2,"):
        check_room(4, 2, 100, 10 * MB)
    check_room(2, 2, 100, 10 * MB)


def limit_shared_memory(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    values = os.statvfs("/")
    limited = os.statvfs_result((1, 1, free, free, free, *tuple(values)[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: limited if str(path) == "/dev/shm" else values)


def test_a_batch_is_as_large_as_is_reckoned(tiny_config: Callable[..., Config]) -> None:
    dataset = task_of(trainer_of(tiny_config())).dataset
    for batches in (TrainBatches(23, 8, 0, rank=1, world_size=3), EvalBatches(np.array([0, 0, 0, 1, 2]), 2)):
        sizes = [sum(t.nbytes for t in batch.tensors()) for batch in make_loader(dataset, batches, 0, False)]
        assert max(sizes) <= batches.largest * dataset.item_bytes
    assert max(sizes) == batches.largest * dataset.item_bytes


def test_more_workers_than_cores_are_said_with_the_option_and_not_by_torch(
    tiny_config: Callable[..., Config],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    dataset = task_of(trainer_of(tiny_config())).dataset
    batches = EvalBatches(np.array([0, 1, 2]), 1)
    make_loader(dataset, batches, 1, False)
    assert not caplog.records
    make_loader(dataset, batches, 2, False)
    assert "system.workers=2 on each of 2 ranks: more processes" in caplog.text
    assert "cores (2)" in caplog.text and "else set system.workers=1" in caplog.text
    assert not [warning for warning in recwarn if "DataLoader" in str(warning.message)]


# --- the temporary folder ---------------------------------------------------------------------------------------------


def long_folder(parent: Path, name: str, count: int) -> Path:
    folder = parent / (name * count)
    folder.mkdir()
    return folder


@pytest.mark.faults
def test_a_training_in_a_temporary_folder_with_a_long_path_is_refused(
    run_script: Callable[..., Any], tiny_overrides: list[str], tmp_path: Path
) -> None:
    folder = long_folder(tmp_path, "x", 120)
    overrides = [*tiny_overrides, "system.workers=1"]
    result = run_script("train.py", "--cfg", CONFIG, "--set", *overrides, TMPDIR=str(folder))
    assert result.returncode == 2
    assert f"its path has {len(str(folder))} bytes, and a socket's leaves room for 75" in result.stderr
    assert "error: TMPDIR: " in result.stderr and "such as /tmp, or set system.workers=0" in result.stderr


def test_a_validation_in_a_temporary_folder_with_a_long_path_is_refused(
    run_script: Callable[..., Any], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = long_folder(tmp_path, "x", 120)
    result = run_script(
        *("validate.py", "--checkpoint", checkpoint(), "--out", tmp_path / "out", "--set", "system.workers=1"),
        TMPDIR=str(folder),
    )
    assert result.returncode == 2 and "and a socket's leaves room for 75" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("characters", "fits"), [(75, True), (76, False)])
def test_a_path_is_refused_from_the_first_byte_too_many(
    run_python: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory, characters: int, fits: bool
) -> None:
    parent = Path("/tmp") / f"rlepose-{os.getpid()}"
    parent.mkdir()
    folder = long_folder(parent, "x", characters - len(str(parent)) - 1)
    try:
        result = run_python(
            "from rlepose.datasets.worker_room import check_room\ncheck_room(1, 2, 1, 1)", TMPDIR=str(folder)
        )
    finally:
        folder.rmdir()
        parent.rmdir()
    assert (result.returncode == 0) == fits, result.stderr


def test_the_bytes_of_a_path_count_and_not_its_letters(run_python: Callable[..., Any], tmp_path: Path) -> None:
    folder = long_folder(tmp_path, "ü", 60)
    code = "from rlepose.datasets.worker_room import check_room\ncheck_room(1, 2, 1, 1)"
    result = run_python(code, TMPDIR=str(folder))
    assert f"its path has {len(os.fsencode(folder))} bytes" in result.stderr


def test_a_machine_without_a_folder_that_can_be_written_is_refused(mounted: Callable[..., Any]) -> None:
    code = "import os; os.chdir('/proc')\nfrom rlepose.datasets.worker_room import check_room\ncheck_room(1, 2, 1, 1)"
    folders = [folder for folder in ("/tmp", "/var/tmp", "/usr/tmp") if Path(folder).is_dir()]
    environment = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), "/nowhere")
    result = mounted(python(code), dict.fromkeys(folders, "ro"), **environment)
    assert "InputError: TMPDIR: workers that load pictures need a folder for their sockets" in result.stderr
