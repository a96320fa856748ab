"""Articulated synthetic people: body proportions, poses and 3-D kinematics.

Camera coordinates are in pixels: x right, y down, z away from the viewer; orthographic projection drops z.
A body frame is a 3x3 matrix whose columns are the body's left, down and forward directions in camera coordinates.
Lengths of the body are fractions of the person's height, angles are degrees.
"""

from dataclasses import dataclass

import numpy as np

from rlepose.geometry import Floats

Range = tuple[float, float]

FACE_POINTS = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
PROPORTION_SPREAD = 0.06

_FACING_VIEWER = np.diag([1.0, 1.0, -1.0])
_HEAD_AXES = np.array([0.050, 0.070, 0.060])
# Directions on the head's ellipsoid (left, down, forward), in its semi-axes, in the order of FACE_POINTS.
_FACE_DIRECTIONS = np.array(
    [[0.0, 0.22, 1.08], [0.38, -0.1, 0.92], [-0.38, -0.1, 0.92], [1.02, 0.05, -0.1], [-1.02, 0.05, -0.1]]
)


@dataclass(frozen=True)
class LimbRange:
    """Angle ranges of an arm or a leg: swing forwards, swing outwards, bend of the elbow or knee."""

    swing: Range
    outwards: Range
    bend: Range


@dataclass(frozen=True)
class PoseKind:
    """A family of poses; of each pair of limbs, chance decides which one is the left."""

    share: float
    torso_bend: Range
    arms: tuple[LimbRange, LimbRange]
    legs: tuple[LimbRange, LimbRange]


_HANGING = LimbRange((-20, 30), (4, 25), (0, 70))
_FOLDED = LimbRange((-10, 60), (2, 45), (60, 135))
_RAISED = LimbRange((-15, 45), (100, 170), (0, 100))
_SIDEWAYS = LimbRange((-15, 40), (50, 110), (0, 90))
_REACHING = LimbRange((45, 125), (-5, 40), (0, 60))
_UPRIGHT = LimbRange((-6, 14), (1, 14), (0, 14))
_STEP_FRONT = LimbRange((15, 48), (0, 8), (0, 35))
_STEP_BACK = LimbRange((-28, -4), (0, 8), (5, 55))
_SEATED = LimbRange((65, 98), (0, 28), (55, 110))
_CROUCHED = LimbRange((45, 105), (4, 30), (60, 125))
_LUNGING = LimbRange((-10, 35), (8, 35), (0, 50))

POSE_KINDS = (
    PoseKind(0.30, (-5, 10), (_HANGING, _HANGING), (_UPRIGHT, _UPRIGHT)),
    PoseKind(0.18, (-5, 15), (_HANGING, _FOLDED), (_UPRIGHT, _LUNGING)),
    PoseKind(0.20, (0, 18), (_HANGING, _FOLDED), (_STEP_FRONT, _STEP_BACK)),
    PoseKind(0.08, (-10, 12), (_RAISED, _RAISED), (_UPRIGHT, _LUNGING)),
    PoseKind(0.06, (-5, 25), (_RAISED, _SIDEWAYS), (_LUNGING, _LUNGING)),
    PoseKind(0.06, (-5, 30), (_REACHING, _HANGING), (_LUNGING, _STEP_BACK)),
    PoseKind(0.07, (-10, 25), (_FOLDED, _HANGING), (_SEATED, _SEATED)),
    PoseKind(0.02, (5, 40), (_REACHING, _FOLDED), (_CROUCHED, _CROUCHED)),
    PoseKind(0.03, (35, 80), (_REACHING, _REACHING), (_UPRIGHT, _LUNGING)),
)


@dataclass(frozen=True)
class Body:
    """One posed person in camera coordinates (pixels).

    height:       the standing person's height.
    joints:       (17, 3), COCO's order.
    face_normals: (5, 3), outward unit normals of nose, eyes, ears.
    hands, toes:  (2, 3), left then right.
    pelvis, neck, head: (3,) centres (the neck's is its base).
    torso_frame, pelvis_frame, head_frame: (3, 3).
    """

    height: float
    joints: Floats
    face_normals: Floats
    hands: Floats
    toes: Floats
    pelvis: Floats
    neck: Floats
    head: Floats
    torso_frame: Floats
    pelvis_frame: Floats
    head_frame: Floats
    head_axes: Floats


def _swing(degrees: float) -> Floats:
    """Rotation that moves a hanging limb forwards."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _to_left(degrees: float) -> Floats:
    """Rotation that moves a hanging limb to the body's left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def _turn(degrees: float) -> Floats:
    """Rotation about the vertical that turns the forward direction to the body's left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _sample_yaw(rng: np.random.Generator) -> float:
    """0 faces the viewer, 90 the picture's right edge; most pictures show people from the front."""
    view = rng.choice(3, p=(0.94, 0.03, 0.03))
    if view == 0:
        return float(rng.normal(0, 22))
    if view == 1:
        return float(rng.choice((-90, 90)) + rng.normal(0, 20))
    return float(180 + rng.normal(0, 30))


def sample_body(rng: np.random.Generator, height: float) -> Body:
    """A random posed person of this standing height (pixels); the pelvis is at the origin."""
    kind = POSE_KINDS[rng.choice(len(POSE_KINDS), p=[kind.share for kind in POSE_KINDS])]
    bend = rng.uniform(*kind.torso_bend)
    roll = np.clip(rng.normal(0, 7), -30, 30)
    root = _FACING_VIEWER @ _to_left(roll) @ _swing(rng.normal(0, 6)) @ _turn(_sample_yaw(rng))
    pelvis_frame = root @ _swing(-0.4 * bend)
    torso_frame = root @ _swing(-bend) @ _to_left(rng.normal(0, 7)) @ _turn(rng.normal(0, 12))
    head_turn = np.clip(rng.normal(0, 15), -65, 65)
    head_frame = torso_frame @ _turn(head_turn) @ _swing(0.6 * bend - rng.normal(5, 12)) @ _to_left(rng.normal(0, 8))

    def length(fraction: float) -> float:
        return height * fraction * (1 + PROPORTION_SPREAD * rng.uniform(-1, 1))

    neck = -torso_frame[:, 1] * length(0.30)
    head_axes = _HEAD_AXES * height * rng.uniform(0.95, 1.2)
    head = neck - torso_frame[:, 1] * height * 0.03 - head_frame[:, 1] * head_axes[1] * 1.15
    face = _FACE_DIRECTIONS * head_axes
    normals = _FACE_DIRECTIONS / head_axes
    joints = np.zeros((17, 3))
    joints[:5] = head + face @ head_frame.T
    hands, toes = np.zeros((2, 3)), np.zeros((2, 3))
    shoulder, hip = length(0.105), length(0.062)
    upper_arm, forearm, thigh, shin = length(0.165), length(0.140), length(0.245), length(0.240)
    swap_arms, swap_legs = rng.integers(0, 2, size=2)
    for index, sign in enumerate((1, -1)):  # left, right
        arm, leg = kind.arms[index ^ swap_arms], kind.legs[index ^ swap_legs]
        frame = torso_frame @ _swing(rng.uniform(*arm.swing)) @ _to_left(sign * rng.uniform(*arm.outwards))
        frame = frame @ _turn(-sign * rng.uniform(-15, 45))
        joints[5 + index] = neck + torso_frame @ (sign * shoulder, 0.02 * height, 0)
        joints[7 + index] = joints[5 + index] + frame[:, 1] * upper_arm
        frame = frame @ _swing(rng.uniform(*arm.bend))
        joints[9 + index] = joints[7 + index] + frame[:, 1] * forearm
        hands[index] = joints[9 + index] + frame[:, 1] * 0.045 * height

        frame = root @ _swing(rng.uniform(*leg.swing)) @ _to_left(sign * rng.uniform(*leg.outwards))
        frame = frame @ _turn(sign * rng.uniform(-5, 25))
        joints[11 + index] = pelvis_frame[:, 0] * sign * hip
        joints[13 + index] = joints[11 + index] + frame[:, 1] * thigh
        frame = frame @ _swing(-rng.uniform(*leg.bend))
        joints[15 + index] = joints[13 + index] + frame[:, 1] * shin
        toes[index] = joints[15 + index] + frame @ (0.0, 0.028 * height, 0.085 * height)
    return Body(
        height=height,
        joints=joints,
        face_normals=normals / np.linalg.norm(normals, axis=1, keepdims=True) @ head_frame.T,
        hands=hands,
        toes=toes,
        pelvis=np.zeros(3),
        neck=neck,
        head=head,
        torso_frame=torso_frame,
        pelvis_frame=pelvis_frame,
        head_frame=head_frame,
        head_axes=head_axes,
    )
