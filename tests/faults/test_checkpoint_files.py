"""A checkpoint is whole or not there, whatever happens to the process, the disk, or the file."""

import contextlib
import multiprocessing
import os
import random
import resource
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from rlepose.errors import InputError
from rlepose.runtime.checkpoint import load_checkpoint, tree_of
from rlepose.runtime.checkpoint_file import newest_whole, write_tree
from tests.faults.save_loop import checkpoint, save_forever


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """last.pt, which has number 2, and previous.pt, which has 1."""
    paths = tmp_path / "last.pt", tmp_path / "previous.pt"
    for number in (1, 2):
        write_tree(paths[0], tree_of(checkpoint(number)), paths[1])
    return paths


def number_of(path: Path) -> int:
    """The number that `save_loop.py` wrote, which every byte has to agree with."""
    read = load_checkpoint(path)
    number = read.progress["epoch"]
    assert torch.equal(read.model["weight"], torch.full((100_000,), float(number)))
    return number


def test_killed_fifty_times_while_saving_the_newest_checkpoint_is_whole(tmp_path: Path) -> None:
    """At random moments, again and again in one folder."""
    moments = random.Random(0)
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload([save_forever.__module__])  # torch is imported once
    for _ in range(50):
        ours, theirs = fork.Pipe(duplex=False)
        loop = fork.Process(target=save_forever, args=(tmp_path, theirs))
        loop.start()
        theirs.close()
        told = [ours.recv()]
        time.sleep(moments.uniform(0, 0.05))
        loop.kill()
        loop.join()
        with contextlib.suppress(EOFError):
            while True:
                told.append(ours.recv())
        # What was told to be saved is there: this one, or one that was saved but could not be told any more.
        found = number_of(newest_whole([tmp_path / "last.pt", tmp_path / "previous.pt"]))
        assert found in (told[-1], told[-1] + 1)


def test_a_flipped_bit_is_found_or_changes_nothing(files: tuple[Path, Path]) -> None:
    """torch.load alone reads a changed weight without a word."""
    last, _ = files
    content, places = last.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(100):
        damaged = bytearray(content)
        damaged[places.randrange(len(damaged))] ^= 1 << places.randrange(8)
        last.write_bytes(damaged)
        try:
            assert number_of(last) == 2  # in the archive's padding, or its dates
        except InputError:
            refused += 1
    assert refused > 90


def test_a_hole_at_any_place_is_found_and_the_one_before_is_taken(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """64 bytes become zeros, as a block that never reached the disk does."""
    last, previous = files
    content = last.read_bytes()
    for place in range(0, len(content) - 64, len(content) // 100):
        last.write_bytes(content[:place] + bytes(64) + content[place + 64 :])
        if last.read_bytes() != content:
            try:
                assert number_of(last) == 2  # the hole lies in padding
            except InputError:
                assert newest_whole(files) == previous
    assert "skipped: " in caplog.text and str(last) in caplog.text


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_cut_off_file_is_passed_over(files: tuple[Path, Path], share: float) -> None:
    os.truncate(files[0], int(files[0].stat().st_size * share))
    assert number_of(newest_whole(files)) == 1


def test_killed_between_the_two_renames_the_one_before_is_taken(files: tuple[Path, Path]) -> None:
    files[0].replace(files[1])
    assert number_of(newest_whole(files)) == 2


def test_nothing_whole_is_told_with_what_is_wrong_with_each(files: tuple[Path, Path]) -> None:
    for path in files:
        os.truncate(path, 100)
    with pytest.raises(InputError, match=r"--resume: no complete checkpoint .*last\.pt.*previous\.pt"):
        newest_whole(files)


def test_a_compressed_file_is_refused_before_it_becomes_large(files: tuple[Path, Path], tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(files[0]) as honest, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in honest.infolist():
            archive.writestr(member.filename, bytes(2**26) if "data/0" in member.filename else honest.read(member))
    assert bomb.stat().st_size < 2**20
    with pytest.raises(InputError, match="contains compressed data"):
        load_checkpoint(bomb)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes: what a full disk is to a process, with another number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 1000, 300_000])
def test_on_a_full_disk_the_run_ends_and_both_checkpoints_stay(files: tuple[Path, Path], size: int) -> None:
    with (
        full_disk(size),
        pytest.raises(InputError, match=r"last\.pt: cannot write the checkpoint \(File too large\); .* is still there"),
    ):
        write_tree(files[0], tree_of(checkpoint(3)), files[1])
    assert [number_of(path) for path in files] == [2, 1]
    assert sorted(path.name for path in files[0].parent.iterdir()) == ["last.pt", "previous.pt"]
