"""Articulated synthetic people: body proportions, poses and 3-D kinematics.

Camera coordinates are in pixels: x right, y down, z away from the viewer; orthographic projection drops z.
A body frame is a 3x3 matrix whose columns are the body's left, down and forward directions in camera coordinates.
Body lengths are fractions of the person's height, angles are in degrees.
"""

from dataclasses import dataclass

import numpy as np

from rlepose.pose.geometry import Floats

Range = tuple[float, float]

FACE_POINTS = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
PROPORTION_SPREAD = 0.06

# Rotation of an arm inwards and of a leg outwards about its own axis.
ARM_TURN: Range = (-15, 45)
LEG_TURN: Range = (-5, 25)

_FACING_VIEWER = np.diag([1.0, 1.0, -1.0])
_HEAD_AXES = np.array([0.050, 0.070, 0.060])
# Directions on the head's ellipsoid (left, down, forward), in its semi-axes, in the order of FACE_POINTS.
_FACE_DIRECTIONS = np.array(
    [[0.0, 0.22, 1.08], [0.38, -0.1, 0.92], [-0.38, -0.1, 0.92], [1.02, 0.05, -0.1], [-1.02, 0.05, -0.1]]
)


@dataclass(frozen=True)
class LimbRange:
    """Angle ranges of an arm or a leg: forward swing, outward swing, bend of the elbow or knee."""

    swing: Range
    outwards: Range
    bend: Range


@dataclass(frozen=True)
class PoseKind:
    """A family of poses; for each pair of limbs, it is random which one is the left."""

    share: float
    torso_bend: Range
    arms: tuple[LimbRange, LimbRange]
    legs: tuple[LimbRange, LimbRange]


HANGING = LimbRange((-20, 30), (4, 25), (0, 70))
FOLDED = LimbRange((-10, 60), (2, 45), (60, 135))
RAISED = LimbRange((-15, 45), (100, 170), (0, 100))
SIDEWAYS = LimbRange((-15, 40), (50, 110), (0, 90))
REACHING = LimbRange((45, 125), (-5, 40), (0, 60))
UPRIGHT = LimbRange((-6, 14), (1, 14), (0, 14))
_STEP_FRONT = LimbRange((15, 48), (0, 8), (0, 35))
_STEP_BACK = LimbRange((-28, -4), (0, 8), (5, 55))
SEATED = LimbRange((65, 98), (0, 28), (55, 110))
CROUCHED = LimbRange((45, 105), (4, 30), (60, 125))
LUNGING = LimbRange((-10, 35), (8, 35), (0, 50))

POSE_KINDS = (
    PoseKind(0.30, (-5, 10), (HANGING, HANGING), (UPRIGHT, UPRIGHT)),
    PoseKind(0.18, (-5, 15), (HANGING, FOLDED), (UPRIGHT, LUNGING)),
    PoseKind(0.20, (0, 18), (HANGING, FOLDED), (_STEP_FRONT, _STEP_BACK)),
    PoseKind(0.08, (-10, 12), (RAISED, RAISED), (UPRIGHT, LUNGING)),
    PoseKind(0.06, (-5, 25), (RAISED, SIDEWAYS), (LUNGING, LUNGING)),
    PoseKind(0.06, (-5, 30), (REACHING, HANGING), (LUNGING, _STEP_BACK)),
    PoseKind(0.07, (-10, 25), (FOLDED, HANGING), (SEATED, SEATED)),
    PoseKind(0.02, (5, 40), (REACHING, FOLDED), (CROUCHED, CROUCHED)),
    PoseKind(0.03, (35, 80), (REACHING, REACHING), (UPRIGHT, LUNGING)),
)


@dataclass(frozen=True)
class Build:
    """The lengths of one person, in the unit of `height`: neck base above the pelvis, half the widths of shoulders and
    hips, and limbs; head_axes (3,): semi-axes of the head to the left, down, forwards."""

    height: float
    neck: float
    head_axes: Floats
    shoulder: float
    hip: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float


@dataclass(frozen=True)
class LimbAngles:
    """An arm or a leg: forward swing, outward swing, rotation about its own axis, bend of elbow or knee; degrees."""

    swing: float
    outwards: float
    turn: float
    bend: float


@dataclass(frozen=True)
class Pose:
    """The angles of one posture, degrees: forward bend, lean and turn to the left of the torso; turn, bend and lean of
    the head relative to the torso; arms and legs: left, right."""

    torso_bend: float
    torso_lean: float
    torso_turn: float
    head_turn: float
    head_bend: float
    head_lean: float
    arms: tuple[LimbAngles, LimbAngles]
    legs: tuple[LimbAngles, LimbAngles]


@dataclass(frozen=True)
class Body:
    """One posed person in camera coordinates (pixels).

    height:       the person's standing height.
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


def swing(degrees: float) -> Floats:
    """Rotation that moves a hanging limb forwards."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def to_left(degrees: float) -> Floats:
    """Rotation that moves a hanging limb to the body's left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def turn(degrees: float) -> Floats:
    """Rotation about the vertical that turns the forward direction to the body's left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _sample_yaw(rng: np.random.Generator) -> float:
    """Draw a yaw: 0 faces the viewer, 90 the right edge; most people are seen from the front."""
    view = rng.choice(3, p=(0.94, 0.03, 0.03))
    if view == 0:
        return float(rng.normal(0, 22))
    if view == 1:
        return float(rng.choice((-90, 90)) + rng.normal(0, 20))
    return float(180 + rng.normal(0, 30))


def sample_body(rng: np.random.Generator, height: float) -> Body:
    """Draw a posed person of this standing height (pixels); the pelvis is at the origin."""
    kind = POSE_KINDS[rng.choice(len(POSE_KINDS), p=[kind.share for kind in POSE_KINDS])]
    bend = rng.uniform(*kind.torso_bend)
    roll = np.clip(rng.normal(0, 7), -30, 30)
    root = _FACING_VIEWER @ to_left(roll) @ swing(rng.normal(0, 6)) @ turn(_sample_yaw(rng))
    lean, twist = rng.normal(0, 7), rng.normal(0, 12)
    head_turn = np.clip(rng.normal(0, 15), -65, 65)
    head_bend, head_lean = 0.6 * bend - rng.normal(5, 12), rng.normal(0, 8)
    build = sample_build(rng, height)
    swap_arms, swap_legs = rng.integers(0, 2, size=2)
    limbs = []
    for index in range(2):  # left, right
        arm, leg = kind.arms[index ^ swap_arms], kind.legs[index ^ swap_legs]
        limbs.append((sample_limb(rng, arm, ARM_TURN), sample_limb(rng, leg, LEG_TURN)))
    (left_arm, left_leg), (right_arm, right_leg) = limbs
    arms, legs = (left_arm, right_arm), (left_leg, right_leg)
    return posed_body(build, Pose(bend, lean, twist, head_turn, head_bend, head_lean, arms, legs), root)


def sample_build(rng: np.random.Generator, height: float) -> Build:
    """Draw the proportions of a person of this standing height, around the average ones."""

    def length(fraction: float) -> float:
        return height * fraction * (1 + PROPORTION_SPREAD * rng.uniform(-1, 1))

    return Build(
        height=height,
        neck=length(0.30),
        head_axes=_HEAD_AXES * height * rng.uniform(0.95, 1.2),
        shoulder=length(0.105),
        hip=length(0.062),
        upper_arm=length(0.165),
        forearm=length(0.140),
        thigh=length(0.245),
        shin=length(0.240),
    )


def sample_limb(rng: np.random.Generator, limb: LimbRange, turn_range: Range) -> LimbAngles:
    """Draw angles within a limb's ranges."""
    swing_angle, outwards, turn_angle = (rng.uniform(*span) for span in (limb.swing, limb.outwards, turn_range))
    return LimbAngles(swing_angle, outwards, turn_angle, bend=rng.uniform(*limb.bend))


def posed_body(build: Build, pose: Pose, root: Floats) -> Body:
    """Return a person in a posture; root (3, 3) is the frame of the upright body. The pelvis is at the origin."""
    height, bend = build.height, pose.torso_bend
    pelvis_frame = root @ swing(-0.4 * bend)
    torso_frame = root @ swing(-bend) @ to_left(pose.torso_lean) @ turn(pose.torso_turn)
    head_frame = torso_frame @ turn(pose.head_turn) @ swing(pose.head_bend) @ to_left(pose.head_lean)
    neck = -torso_frame[:, 1] * build.neck
    head = neck - torso_frame[:, 1] * height * 0.03 - head_frame[:, 1] * build.head_axes[1] * 1.15
    face = _FACE_DIRECTIONS * build.head_axes
    normals = _FACE_DIRECTIONS / build.head_axes
    joints = np.zeros((17, 3))
    joints[:5] = head + face @ head_frame.T
    hands, toes = np.zeros((2, 3)), np.zeros((2, 3))
    for index, sign in enumerate((1, -1)):  # left, right
        arm, leg = pose.arms[index], pose.legs[index]
        frame = torso_frame @ swing(arm.swing) @ to_left(sign * arm.outwards) @ turn(-sign * arm.turn)
        joints[5 + index] = neck + torso_frame @ (sign * build.shoulder, 0.02 * height, 0)
        joints[7 + index] = joints[5 + index] + frame[:, 1] * build.upper_arm
        frame = frame @ swing(arm.bend)
        joints[9 + index] = joints[7 + index] + frame[:, 1] * build.forearm
        hands[index] = joints[9 + index] + frame[:, 1] * 0.045 * height

        frame = root @ swing(leg.swing) @ to_left(sign * leg.outwards) @ turn(sign * leg.turn)
        joints[11 + index] = pelvis_frame[:, 0] * sign * build.hip
        joints[13 + index] = joints[11 + index] + frame[:, 1] * build.thigh
        frame = frame @ swing(-leg.bend)
        joints[15 + index] = joints[13 + index] + frame[:, 1] * build.shin
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
        head_axes=build.head_axes,
    )
