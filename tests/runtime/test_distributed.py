"""Real processes under torchrun, with gloo on the CPU."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlepose.errors import InputError
from rlepose.runtime.distributed import Ranks, choose_device
from rlepose.runtime.distributed import ranks as join_ranks
from rlepose.runtime.options import SystemConfig

Run = Callable[..., subprocess.CompletedProcess[str]]
CONFIG = "configs/synthetic_res18_rle.yaml"


def scalars(folder: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def test_one_rank_and_two_give_the_same_losses_and_numbers(
    run_script: Run, tiny_overrides: list[str], tmp_path: Path
) -> None:
    for name, ranks in (("one", 1), ("two", 2)):
        result = run_script("train.py", "--cfg", CONFIG, "--name", name, "--set", *tiny_overrides, ranks=ranks)
        assert result.returncode == 0, result.stderr
    one, two = (tmp_path / "exp" / name for name in ("one", "two"))
    assert scalars(two, "train/loss") == pytest.approx(scalars(one, "train/loss"), rel=1e-3)
    assert len(scalars(two, "train/loss")) == len(scalars(one, "train/loss"))

    checkpoint = one / "checkpoints" / "last.pt"
    for ranks in (1, 2):
        result = run_script("validate.py", "--checkpoint", checkpoint, "--out", tmp_path / str(ranks), ranks=ranks)
        assert result.returncode == 0, result.stderr
    metrics, results = (
        [json.loads((tmp_path / ranks / name).read_text()) for ranks in ("1", "2")]
        for name in ("metrics.json", "keypoints_gt.json")
    )
    assert metrics[0] == pytest.approx(metrics[1], abs=1e-6)
    assert [(r["image_id"], pytest.approx(r["keypoints"], abs=1e-2)) for r in results[0]] == [
        (r["image_id"], r["keypoints"]) for r in results[1]
    ]


def test_one_rank_and_two_train_alike_in_space(run_script: Run, tiny_3d_overrides: list[str], tmp_path: Path) -> None:
    config = "configs/synthetic_3d_res10_rle.yaml"
    for name, ranks in (("one", 1), ("two", 2)):
        overrides = [*tiny_3d_overrides, "train.batch_size=64", "eval.pictures=0"]
        result = run_script("train.py", "--cfg", config, "--name", name, "--set", *overrides, ranks=ranks)
        assert result.returncode == 0, result.stderr
    one, two = (tmp_path / "exp" / name for name in ("one", "two"))
    assert len(scalars(one, "train/loss")) == 5
    assert scalars(two, "train/loss") == pytest.approx(scalars(one, "train/loss"), rel=1e-3)
    assert scalars(two, "PA_MPJPE/Lying") == pytest.approx(scalars(one, "PA_MPJPE/Lying"), rel=1e-2)


def test_ranks_stay_equal_also_when_one_sees_no_label(run_script: Run, tiny_overrides: list[str]) -> None:
    overrides = [*tiny_overrides, "model.backbone.name=resnet18"]  # which has batch statistics
    result = run_script(
        "keep_ranks_equal.py", CONFIG, *overrides, folder="tests/training/ranks", ranks=2, PYTHONPATH="."
    )
    assert result.returncode == 0, result.stderr
    moved = re.search(r"equal on 2 ranks; flow moved by ([\d.]+)", result.stdout)
    assert moved is not None
    assert float(moved.group(1)) > 1e-4


def test_one_message_reaches_the_user_of_two_ranks(run_script: Run, tiny_overrides: list[str]) -> None:
    overrides = [*tiny_overrides, "data.val_annotations=nowhere.json"]
    result = run_script("train.py", "--cfg", CONFIG, "--set", *overrides, ranks=2)
    assert result.returncode != 0
    assert result.stderr.count("nowhere.json: the annotation file does not exist") == 1


def test_the_cpu_is_chosen_when_asked_for() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_that_is_not_there_is_refused() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match=r"system\.device: cuda"):
        choose_device("cuda")


def test_matrices_are_multiplied_in_exact_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    torch.set_float32_matmul_precision("medium")
    with join_ranks(SystemConfig(device="cpu")):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.benchmark


def test_an_input_error_on_the_main_rank_is_raised() -> None:
    def fail() -> None:
        raise InputError("wrong")

    with pytest.raises(InputError, match="wrong"):
        Ranks(0, 1, torch.device("cpu")).on_main(fail)
