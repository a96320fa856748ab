"""Lifting: what goes in and out, mirror images, and that it learns."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.datasets.formats.h36m import persons_from_h36m
from rlepose.datasets.persons3d import Person3DTable
from rlepose.drawn_people.people_in_space import FILES, write_h36m
from rlepose.errors import InputError
from rlepose.lifting.network import LiftingNet
from rlepose.lifting.poses import (
    LIFTED,
    NUM_LIFTED,
    inputs_of,
    joints_of,
    lifting_poses,
    mirror_inputs,
    mirror_joints,
    read_poses,
)
from rlepose.lifting.training import (
    TRAINABLE,
    LiftingOptions,
    lifting_errors,
    load_lifting,
    predict_lifted,
    save_lifting,
    train_lifting,
)
from rlepose.losses.options import AnyLoss
from rlepose.options import variants
from rlepose.pose.camera import project
from rlepose.pose.skeleton import H36M


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Person3DTable:
    folder = tmp_path_factory.mktemp("lifting")
    return persons_from_h36m(write_h36m(folder, "test", 3, seed=0, pictures=False), folder)


def options(loss: str, **changes: float) -> LiftingOptions:
    arguments = {"epochs": 2, "batch_size": 64, "lr": 1e-3, "dropout": 0.0, "width": 32, "seed": 0} | changes
    return LiftingOptions(loss=variants(AnyLoss)[loss](), **arguments)


def silent(text: str) -> None:
    """No report."""


def test_targets_give_the_truth_back_in_mm(table: Person3DTable) -> None:
    poses = lifting_poses(table)
    np.testing.assert_allclose(joints_of(poses.targets), poses.truth_mm, atol=1e-3)
    assert not poses.truth_mm[:, H36M.names.index("Pelvis")].any()


def test_inputs_do_not_depend_on_focal_length_and_principal_point() -> None:
    joints = np.random.default_rng(0).normal(size=(2, 17, 3)) * 300 + (0, 0, 4000)
    cameras = [
        (np.array([[1000.0, 1010]] * 2), np.array([[500.0, 510]] * 2)),
        (np.full((2, 2), 450.0), np.zeros((2, 2))),
    ]
    first, second = (inputs_of(project(joints, *camera), *camera) for camera in cameras)
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


def test_mirrored_poses_are_the_poses_of_a_mirrored_world(table: Person3DTable) -> None:
    """Mirror the joints in space and swap the sides; the inputs and targets of that are the mirrored ones."""
    poses = lifting_poses(table)
    flip = [i for i in H36M.flip_permutation if i < 17]
    joints = table.joints_mm()[:, :17][:, flip] * (-1, 1, 1)
    mirrored = inputs_of(project(joints, table.focal, table.principal), table.focal, table.principal)
    torch.testing.assert_close(mirror_inputs(poses.inputs), mirrored, atol=1e-5, rtol=0)
    targets = (joints - joints[:, :1])[:, LIFTED] / 2000
    torch.testing.assert_close(mirror_joints(poses.targets), torch.from_numpy(targets).float(), atol=1e-5, rtol=0)


def test_a_fresh_network_predicts_the_root_for_all_joints_and_a_sigma_of_95_mm() -> None:
    network = LiftingNet(torch.zeros(34), torch.ones(34), width=16).eval()
    output = network(torch.randn(5, 34))
    assert output.sigma is not None
    assert output.mu.shape == output.sigma.shape == (5, NUM_LIFTED, 3)
    assert output.mu.abs().max() < 0.05 and (2000 * output.sigma - 95).abs().max() < 10


def test_predictions_of_a_pose_and_of_its_mirror_image_mirror_each_other(table: Person3DTable) -> None:
    poses = lifting_poses(table)
    network = LiftingNet(torch.zeros(34), torch.ones(34), width=16).eval()
    straight, mirrored = (
        predict_lifted(network, p) for p in (poses, poses._replace(inputs=mirror_inputs(poses.inputs)))
    )
    torch.testing.assert_close(mirror_joints(mirrored.mu), straight.mu, atol=1e-6, rtol=0)


@pytest.mark.parametrize("loss", TRAINABLE)
def test_training_lowers_the_error_and_can_be_stored(table: Person3DTable, tmp_path: Path, loss: str) -> None:
    poses = lifting_poses(table)
    untrained = joints_of(torch.zeros_like(poses.targets))
    before = np.linalg.norm(untrained - poses.truth_mm, axis=2).mean()
    network = train_lifting(poses, options(loss, epochs=30, lr=3e-3), silent)
    errors = lifting_errors(network, poses)
    assert errors["all"]["MPJPE"] < 0.6 * before
    assert set(errors) == {"Walking", "Sitting", "Reaching", "Lying", "all"}
    save_lifting(tmp_path / "lifting.pt", network, errors)
    assert torch.equal(load_lifting(tmp_path / "lifting.pt")(poses.inputs).mu, network(poses.inputs).mu)


def test_a_label_that_is_far_off_does_not_spoil_the_others(table: Person3DTable) -> None:
    """Its gradient, by a likelihood with a small sigma, is a million times the others'."""
    poses = lifting_poses(table)
    targets = poses.targets.clone()
    targets[0] += 300
    network = train_lifting(poses._replace(targets=targets), options("rle", epochs=30, lr=3e-3), silent)
    errors = np.linalg.norm(joints_of(network(poses.inputs).mu.detach()) - poses.truth_mm, axis=2)
    untrained = np.linalg.norm(joints_of(torch.zeros_like(poses.targets)) - poses.truth_mm, axis=2)
    assert errors[1:].mean() < 0.5 * untrained[1:].mean()


def test_the_same_seed_gives_the_same_network(table: Person3DTable) -> None:
    poses = lifting_poses(table)
    first, second, other = (train_lifting(poses, options("rle", seed=seed), silent) for seed in (0, 0, 1))
    assert torch.equal(first(poses.inputs).mu, second(poses.inputs).mu)
    assert not torch.equal(first(poses.inputs).mu, other(poses.inputs).mu)


def test_a_batch_larger_than_the_data_set_is_refused(table: Person3DTable) -> None:
    with pytest.raises(InputError, match="--batch-size is 1000, but there are 192 poses"):
        train_lifting(lifting_poses(table), options("l1", batch_size=1000), silent)


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0), ("batch_size", 1), ("width", 0), ("lr", -1.0), ("dropout", 1.0)]
)
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')}: expected .*, got {value}"):
        options("l1", **{name: value})


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lifting.pt").write_text("no")
    with pytest.raises(InputError, match="is not a lifting network"):
        load_lifting(tmp_path / "lifting.pt")
    with pytest.raises(InputError, match="there is no such file"):
        load_lifting(tmp_path / "missing.pt")


def test_missing_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.json: the annotation file does not exist"):
        read_poses(tmp_path / "labels.json")


def test_the_command_takes_what_the_flow_starts_as(
    run_script: Callable[..., subprocess.CompletedProcess[str]], synthetic_3d: Path, tmp_path: Path
) -> None:
    folder = synthetic_3d / "h36m" / "annotations"
    small = ["--epochs", 1, "--batch-size", 64, "--width", 16]
    files = ["--train", folder / FILES["train"], "--test", folder / FILES["test"], "--out", tmp_path / "lifting.pt"]
    first = run_script("train_lifting.py", *small, *files, "--flow-base", "gaussian")
    kept = run_script("train_lifting.py", *small, *files, "--flow-base", "laplace")
    assert kept.returncode == 2 and "lifting.pt is there from an earlier run; pass --overwrite" in kept.stderr
    tables = [first, run_script("train_lifting.py", *small, *files, "--flow-base", "laplace", "--overwrite")]
    assert [result.returncode for result in tables] == [0, 0], tables[0].stderr + tables[1].stderr
    assert "MPJPE" in tables[0].stdout
    assert tables[0].stdout != tables[1].stdout
    refused = run_script("train_lifting.py", *small, *files, "--overwrite", "--loss", "l1", "--flow-base", "laplace")
    assert refused.returncode == 2
    assert "--flow-base: the loss l1 has no flow" in refused.stderr
