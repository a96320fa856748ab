"""Saving beside the training."""

import os
import threading
from pathlib import Path

import pytest
import torch

from rlepose.errors import InputError
from rlepose.runtime.checkpoint import load_checkpoint, tree_of
from rlepose.training.saving import BackgroundSaver
from tests.faults.save_loop import checkpoint


def number_of(path: Path) -> float:
    return float(load_checkpoint(path).model["weight"].unique())


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The disk takes nothing until this is set."""
    ready, fsync = threading.Event(), os.fsync

    def slow(descriptor: int) -> None:
        assert ready.wait(60)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    return ready


def test_training_goes_on_while_a_checkpoint_of_before_is_written(tmp_path: Path, disk: threading.Event) -> None:
    saver, state = BackgroundSaver(), tree_of(checkpoint(1))
    saver.save(tmp_path / "last.pt", state)
    assert not (tmp_path / "last.pt").exists()
    state["model"]["weight"] += 1  # the next step
    disk.set()
    saver.wait()
    assert number_of(tmp_path / "last.pt") == 1


def test_the_next_checkpoint_waits_for_the_one_before(tmp_path: Path, disk: threading.Event) -> None:
    saver = BackgroundSaver()
    saver.save(tmp_path / "last.pt", tree_of(checkpoint(1)))
    threading.Timer(0.2, disk.set).start()
    saver.save(tmp_path / "last.pt", tree_of(checkpoint(2)), tmp_path / "previous.pt")
    assert disk.is_set()
    saver.wait()
    assert [number_of(tmp_path / name) for name in ("previous.pt", "last.pt")] == [1, 2]


@pytest.mark.parametrize("then", ["save", "wait"])
def test_what_the_disk_refuses_is_told_by_the_next_call_and_once(tmp_path: Path, then: str) -> None:
    (tmp_path / "file").touch()
    saver = BackgroundSaver()
    saver.save(tmp_path / "file" / "last.pt", tree_of(checkpoint(1)))
    with pytest.raises(InputError, match=r"file/last\.pt: cannot write the checkpoint"):
        saver.wait() if then == "wait" else saver.save(tmp_path / "last.pt", tree_of(checkpoint(2)))
    saver.wait()


def test_a_state_dict_keeps_its_versions(tmp_path: Path) -> None:
    state = torch.nn.BatchNorm1d(2).state_dict()
    saver = BackgroundSaver()
    saver.save(tmp_path / "last.pt", tree_of(checkpoint(1, state)))
    saver.wait()
    assert load_checkpoint(tmp_path / "last.pt").criterion._metadata == state._metadata
