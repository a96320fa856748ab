import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.losses import build_criterion
from rlepose.models.options import RegressionHeadConfig
from rlepose.models.pose_model import build_model
from rlepose.pose.skeleton import COCO, skeleton_from_names
from rlepose.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rlepose.runtime.checkpoint_file import load_state
from rlepose.runtime.experiment import results_folder
from rlepose.runtime.trained_model import network_from_checkpoint


@pytest.fixture
def checkpoint(tiny_config: Callable[..., Config]) -> Checkpoint:
    config = tiny_config()
    model = build_model(config.model, 17, predict_sigma=True)
    return Checkpoint(
        config=config,
        skeleton=COCO,
        model=model.state_dict(),
        criterion=build_criterion(config.loss, 17).state_dict(),
        optimizer={"state": {}, "param_groups": []},
        progress={"epoch": 3, "best": 0.25},
        metrics={"gt/AP": 0.25, "gt/APM": None},
        random_states=[{"cpu": torch.get_rng_state()}],
    )


def test_a_checkpoint_comes_back_as_it_was(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint)
    again = load_checkpoint(tmp_path / "a.pt")
    assert again.config == checkpoint.config
    assert again.skeleton == checkpoint.skeleton
    assert again.progress == checkpoint.progress
    assert again.metrics == checkpoint.metrics
    assert again.model.keys() == checkpoint.model.keys()
    assert all(torch.equal(again.model[key], checkpoint.model[key]) for key in again.model)
    assert all(torch.equal(again.criterion[key], checkpoint.criterion[key]) for key in again.criterion)


def test_the_model_can_be_rebuilt_from_the_file_alone(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint)
    model = network_from_checkpoint(load_checkpoint(tmp_path / "a.pt"), checkpoint.config, tmp_path / "a.pt")
    assert not model.training
    assert torch.equal(model.head.coordinates.weight, checkpoint.model["head.coordinates.weight"])


def test_a_checkpoint_from_before_heads_had_options_is_read(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, checkpoint)
    tree = torch.load(path, weights_only=True)
    tree["format"] = 1
    del tree["config"]["model"]["head"]
    tree["config"]["model"]["normalize_features"] = False
    torch.save(tree, path)
    assert load_checkpoint(path).config.model.head == RegressionHeadConfig(normalize_features=False)


def test_a_checkpoint_of_a_later_version_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, checkpoint)
    torch.save(torch.load(path, weights_only=True) | {"format": 4}, path)
    with pytest.raises(InputError, match="checkpoint format 4, but this version reads formats up to 3"):
        load_checkpoint(path)


def test_a_failed_write_leaves_the_old_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, checkpoint)
    before = path.read_bytes()
    unwritable = dataclasses.replace(checkpoint, metrics={"x": lambda: None})  # cannot be pickled
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(path, unwritable)
    assert path.read_bytes() == before


def test_nothing_but_the_checkpoint_is_left_behind(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "folder" / "a.pt", checkpoint)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["a.pt"]


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.pt: no such checkpoint"):
        load_checkpoint("nowhere.pt")


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_cut_off_file_is_refused(checkpoint: Checkpoint, tmp_path: Path, keep: float) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, checkpoint)
    os.truncate(path, int(path.stat().st_size * keep))
    with pytest.raises(InputError, match=r"not a (readable )?checkpoint"):
        load_checkpoint(path)


def test_a_file_with_code_in_it_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"config": Hostile()}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "a.pt")
    assert not (tmp_path / "ran").exists()


def test_a_plain_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="not a checkpoint of rlepose"):
        load_checkpoint(tmp_path / "a.pt")


def test_weights_of_another_joint_count_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    other = dataclasses.replace(checkpoint, skeleton=skeleton_from_names(["a", "b"]))
    with pytest.raises(InputError, match=r"a\.pt: its model does not fit this config.*size mismatch"):
        network_from_checkpoint(other, other.config, tmp_path / "a.pt")


def test_what_does_not_fit_is_told_in_a_few_names(tmp_path: Path) -> None:
    network = torch.nn.Sequential(*[torch.nn.Linear(1, 1) for _ in range(100)])
    with pytest.raises(
        InputError, match=r'its model does not fit this config \(Missing key.*"0\.weight".* … '
    ) as error:
        load_state(network, {"other": torch.zeros(1)}, "model", tmp_path / "a.pt")
    assert len(str(error.value)) < 600


def test_results_lie_beside_the_folder_of_checkpoints_or_beside_a_file_that_was_moved(tmp_path: Path) -> None:
    assert results_folder(tmp_path / "exp" / "checkpoints" / "best.pt") == tmp_path / "exp" / "results"
    assert results_folder(tmp_path / "best.pt") == tmp_path / "results"
