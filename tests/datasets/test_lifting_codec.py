"""What a lifting network sees and gives, and mirror images of both."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rlepose.datasets.formats.h36m import METRIC_JOINTS, persons_from_h36m
from rlepose.datasets.lifting_codec import (
    INPUTS,
    LIFTED,
    NUM_LIFTED,
    in_mm,
    inputs_of,
    labelled_inputs,
    mirror_inputs,
    mirror_joints,
    mirror_output,
    targets_of,
)
from rlepose.datasets.persons3d import Person3DTable
from rlepose.drawn_people.people_in_space import FILES
from rlepose.evaluation.mpjpe import relative_to_root
from rlepose.pose.camera import project
from rlepose.pose.codec import PoseOutput
from rlepose.pose.skeleton import H36M, H36M_ROOT


@pytest.fixture(scope="module")
def table(labels_3d: Path) -> Person3DTable:
    return persons_from_h36m(labels_3d / "h36m" / "annotations" / FILES["test"], labels_3d)


def test_the_root_is_seen_and_not_learned_and_thorax_neither() -> None:
    assert [H36M.names[joint] for joint in range(18) if joint not in LIFTED] == ["Pelvis", "Thorax"]
    assert (INPUTS, NUM_LIFTED) == (34, 16)


def test_targets_give_the_truth_back_in_mm(table: Person3DTable) -> None:
    joints = in_mm(targets_of(table.joints_mm()))
    np.testing.assert_allclose(joints, relative_to_root(table.joints_mm()[:, METRIC_JOINTS], H36M_ROOT), atol=1e-3)
    assert not joints[:, H36M_ROOT].any()


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
    flip = [i for i in H36M.flip_permutation if i < 17]
    joints = table.joints_mm()[:, :17][:, flip] * (-1, 1, 1)
    mirrored = inputs_of(project(joints, table.focal, table.principal), table.focal, table.principal)
    torch.testing.assert_close(mirror_inputs(labelled_inputs(table)), mirrored, atol=1e-5, rtol=0)
    targets = targets_of(table.joints_mm())
    expected = (joints - joints[:, :1])[:, LIFTED] / 2000
    torch.testing.assert_close(mirror_joints(targets), torch.from_numpy(expected).float(), atol=1e-5, rtol=0)


def test_a_mirrored_prediction_has_the_sigma_of_the_other_side() -> None:
    mu, sigma = torch.randn(2, NUM_LIFTED, 3), torch.rand(2, NUM_LIFTED, 3)
    output = mirror_output(PoseOutput(mu, sigma))
    left, right = (LIFTED.index(H36M.names.index(f"{side}_Knee")) for side in "LR")
    assert torch.equal(output.sigma[:, left], sigma[:, right])
    assert torch.equal(output.mu[:, left], mu[:, right] * torch.tensor([-1.0, 1, 1]))
    again = mirror_output(output)
    assert torch.equal(again.mu, mu) and torch.equal(again.sigma, sigma)
    assert mirror_output(PoseOutput(mu, None)).sigma is None
