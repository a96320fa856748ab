"""Convert joints in the picture to the inputs of a lifting network, and its outputs to joints in 3-D.

Input (34,): the intersections of the rays through the joints with the plane z = 1, so that the focal length does not
matter: x and y of the root, then the other 16 joints relative to it. Output (16, 3): all joints except the root,
relative to it, in the camera's frame, in units of 2000 mm. The root itself is 0 and not predicted.
"""

import numpy as np
import torch
from torch import Tensor

from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.datasets.persons3d import Person3DTable
from rlepose.pose.codec import DEPTH_UNIT_MM, PoseOutput
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import H36M, H36M_ROOT, skeleton_from_names

LIFTED = tuple(joint for joint in METRIC_JOINTS if joint != H36M_ROOT)
NUM_LIFTED = len(LIFTED)
INPUTS = 2 + 2 * NUM_LIFTED

# Indices into the joints except the root, followed by the root, in the order of all joints.
_WITH_ROOT = [NUM_LIFTED if joint == H36M_ROOT else LIFTED.index(joint) for joint in METRIC_JOINTS]
LIFTED_SKELETON = skeleton_from_names([H36M.names[joint] for joint in LIFTED])
_FLIP = list(LIFTED_SKELETON.flip_permutation)


def on_plane(keypoints: Floats, focal: Floats, principal: Floats) -> Floats:
    """Project keypoints (N, 17, 2), focal and principal (N, 2), px, to the image plane at distance 1, (N, 17, 2)."""
    return (np.asarray(keypoints, float) - principal[:, None]) / focal[:, None]


def inputs_on_plane(points: Tensor) -> Tensor:
    """Return the inputs (N, 34) for joints on the image plane, (N, 17, 2)."""
    root = points[:, [H36M_ROOT]]
    return torch.cat([root, points[:, list(LIFTED)] - root], dim=1).flatten(1)


def inputs_of(keypoints: Floats, focal: Floats, principal: Floats) -> Tensor:
    """Return the inputs (N, 34) for keypoints (N, 17, 2), focal and principal (N, 2), px."""
    return inputs_on_plane(torch.from_numpy(on_plane(keypoints, focal, principal))).float()


def targets_of(joints_mm: Floats) -> Tensor:
    """Return targets (N, 16, 3) for joints_mm (N, K, 3) in the camera's frame, the first 17 joints of H36M or all."""
    relative = joints_mm[:, LIFTED] - joints_mm[:, [H36M_ROOT]]
    return torch.from_numpy(relative / DEPTH_UNIT_MM).float()


def labelled_inputs(table: Person3DTable) -> Tensor:
    """Return the inputs (N, 34) of all persons of a table: their labelled joints, as their cameras see them."""
    return inputs_of(table.keypoints[:, METRIC_JOINTS], table.focal, table.principal)


def with_root(values: Tensor) -> Tensor:
    """Insert 0 for the root: (N, 16, 3) -> (N, 17, 3)."""
    return torch.cat([values, torch.zeros_like(values[:, :1])], dim=1)[:, _WITH_ROOT]


def in_mm(values: Tensor) -> Floats:
    """Convert mu or sigma (N, 16, 3) to mm, (N, 17, 3), with 0 for the root."""
    return with_root(values.cpu().double() * DEPTH_UNIT_MM).numpy()


def mirror_inputs(inputs: Tensor) -> Tensor:
    """Return the inputs of mirrored pictures: (B, 34) -> (B, 34)."""
    points = inputs.view(-1, 1 + NUM_LIFTED, 2)
    points = torch.cat([points[:, :1], points[:, 1:][:, _FLIP]], dim=1)
    return (points * points.new_tensor([-1.0, 1.0])).view(-1, INPUTS)


def mirror_joints(points: Tensor) -> Tensor:
    """Return targets or mu of mirrored pictures: (B, 16, 3) -> (B, 16, 3)."""
    return points[:, _FLIP] * points.new_tensor([-1.0, 1.0, 1.0])


def mirror_output(output: PoseOutput) -> PoseOutput:
    """Return the prediction for the original pictures, given that for mirrored pictures."""
    return PoseOutput(mirror_joints(output.mu), None if output.sigma is None else output.sigma[:, _FLIP])
