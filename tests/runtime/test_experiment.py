"""The folder of a run: nothing in it is lost, mixed or replaced unasked."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.runtime.experiment import Experiment
from tests.training.running import experiment_of, losses, run, trainer_of


def test_a_second_run_of_the_same_name_asks_what_to_do(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=1")
    run(config)
    with pytest.raises(InputError, match=r"contains an earlier run; pass --resume .* --overwrite .* --name"):
        run(config)
    run(config, overwrite=True)
    assert len(losses(config)) == len(trainer_of(config).task.order)


@pytest.mark.parametrize("name", ["checkpoints/best.pt", "checkpoints/epoch_10.pt", "results/metrics.json"])
def test_what_is_left_of_a_finished_run_is_an_earlier_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    (tmp_path / "config.yaml").touch()
    with pytest.raises(InputError, match=r"contains an earlier run; pass --overwrite to delete it, or --name"):
        Experiment(tmp_path).check(resume=False, overwrite=False)
    Experiment(tmp_path).check(resume=False, overwrite=True)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.lockf", refuse)
    with (
        pytest.raises(InputError, match=r"exp/lock: the file system supports no locks"),
        Experiment(tmp_path / "exp").alone(),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_named(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/.*cannot write there \(Not a directory\); set output_dir"):
        run(tiny_config(f"output_dir={tmp_path / 'file'}"))


@pytest.mark.parametrize("mistake", ["data.train_annotations=nowhere.json", "model.backbone.name=resnetx"])
def test_a_refused_start_leaves_no_folder(tiny_config: Callable[..., Config], tmp_path: Path, mistake: str) -> None:
    with pytest.raises(InputError):
        run(tiny_config("name=wrong", mistake))
    assert not (tmp_path / "exp").exists()


def test_a_refused_start_leaves_the_folder_that_was_there_and_other_runs(
    tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    (tmp_path / "exp" / "mine").mkdir(parents=True)
    for name in ("mine", "other"):
        with pytest.raises(InputError):
            run(tiny_config(f"name={name}", "data.train_annotations=nowhere.json"))
    assert [*(tmp_path / "exp").rglob("*")] == [tmp_path / "exp" / "mine"]


def test_a_run_locks_the_folder_that_is_there_and_not_one_that_a_refused_start_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the lock and locking it, the refused start removes both."""
    experiment, lockf = Experiment(tmp_path / "exp" / "a"), fcntl.lockf

    def late(*arguments: Any) -> None:
        monkeypatch.setattr("fcntl.lockf", lockf)
        shutil.rmtree(tmp_path / "exp")
        lockf(*arguments)

    monkeypatch.setattr("fcntl.lockf", late)
    with experiment.alone():
        assert (experiment.folder / "lock").exists()


def test_a_mistake_beside_overwrite_deletes_nothing(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=1")
    run(config)
    with pytest.raises(InputError, match=r"nowhere\.json"):
        run(tiny_config("train.epochs=1", "data.train_annotations=nowhere.json"), overwrite=True)
    assert experiment_of(config).last.exists()


def test_a_folder_that_is_no_experiment_is_not_touched(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config()
    folder = experiment_of(config).folder
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty, and not the folder of an experiment"):
        run(config, overwrite=True)
    assert (folder / "thesis.txt").exists()
