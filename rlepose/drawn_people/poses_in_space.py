"""Actions of drawn people in 3-D: walking, sitting, reaching and lying, in millimetres.

World: x and y along the floor, z up, the floor at z = 0. Angles are in degrees.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from rlepose.datasets.formats.h36m import with_thorax
from rlepose.drawn_people.body import (
    ARM_TURN,
    FOLDED,
    HANGING,
    LEG_TURN,
    RAISED,
    REACHING,
    SEATED,
    UPRIGHT,
    Body,
    Build,
    LimbAngles,
    LimbRange,
    Pose,
    Range,
    posed_body,
    sample_limb,
    swing,
    to_left,
)
from rlepose.pose.geometry import Floats

FLOOR_MARGIN = 0.03  # person heights between the floor and the lowest joint, for flesh and shoes
PLACE_MM = 350.0  # maximum distance of people from the middle of the floor, along x and y

_POINTS = ("joints", "hands", "toes", "pelvis", "neck", "head")
_FRAMES = ("torso_frame", "pelvis_frame", "head_frame")
_RESTING = LimbRange((-5, 45), (1, 14), (0, 80))
# Half of the swing of a leg and an arm in a stride, and the bend of the knee of the leg that swings forwards.
_STRIDE, _ARM_SWING, _KNEE_LIFT = 27.0, 22.0, 48.0


def _pair(rng: np.random.Generator, kinds: tuple[LimbRange, ...], turn: Range) -> tuple[LimbAngles, LimbAngles]:
    """Draw a left and a right limb, each of its own type."""
    left, right = (sample_limb(rng, kinds[rng.integers(len(kinds))], turn) for _ in range(2))
    return left, right


def _pose(
    rng: np.random.Generator,
    torso_bend: Range,
    arms: tuple[LimbAngles, LimbAngles],
    legs: tuple[LimbAngles, LimbAngles],
) -> Pose:
    """Draw torso and head for these limbs."""
    bend = rng.uniform(*torso_bend)
    return Pose(
        torso_bend=bend,
        torso_lean=rng.normal(0, 6),
        torso_turn=rng.normal(0, 12),
        head_turn=float(np.clip(rng.normal(0, 22), -65, 65)),
        head_bend=0.5 * bend - rng.normal(5, 12),
        head_lean=rng.normal(0, 8),
        arms=arms,
        legs=legs,
    )


def _walking(rng: np.random.Generator) -> tuple[Pose, Floats]:
    """Draw one phase of a stride; an arm swings with the leg of the other side."""
    arms, legs = [], []
    phase, liveliness, folded = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 1.15), rng.uniform(5, 45)
    for side in (phase, phase + np.pi):
        lift = max(0.0, np.cos(side)) * _KNEE_LIFT * liveliness
        legs.append(
            LimbAngles(4 + _STRIDE * liveliness * np.sin(side), rng.uniform(0, 6), rng.uniform(0, 12), 6 + lift)
        )
        forwards = -_ARM_SWING * liveliness * np.sin(side)
        arms.append(LimbAngles(forwards, rng.uniform(3, 14), rng.uniform(*ARM_TURN), folded + 0.5 * max(0, forwards)))
    return _pose(rng, (-2, 12), (arms[0], arms[1]), (legs[0], legs[1])), np.eye(3)


def _sitting(rng: np.random.Generator) -> tuple[Pose, Floats]:
    arms = _pair(rng, (FOLDED, HANGING), ARM_TURN)
    return _pose(rng, (-8, 22), arms, _pair(rng, (SEATED,), LEG_TURN)), np.eye(3)


def _reaching(rng: np.random.Generator) -> tuple[Pose, Floats]:
    arms = _pair(rng, (RAISED, REACHING), ARM_TURN)
    return _pose(rng, (-8, 25), arms, _pair(rng, (UPRIGHT,), LEG_TURN)), np.eye(3)


def _lying(rng: np.random.Generator) -> tuple[Pose, Floats]:
    """Draw a pose of lying on the back."""
    legs = _pair(rng, (_RESTING,), LEG_TURN)
    arms = _pair(rng, (HANGING, FOLDED), ARM_TURN)
    return _pose(rng, (-5, 20), arms, legs), swing(90)


# By the number of the action in picture names (datasets/formats/h36m.py).
ACTIVITIES: dict[int, Callable[[np.random.Generator], tuple[Pose, Floats]]] = {
    9: _sitting,
    14: _walking,
    17: _reaching,
    18: _lying,
}


# Direction that people face or, if lying, of their feet: degrees from the x axis, and maximum deviation.
_HEADINGS = {9: (45, 60), 14: (0, 180), 17: (0, 180), 18: (45, 15)}


def sample_activity(rng: np.random.Generator, action: int, build: Build) -> Body:
    """Draw a person of this build (mm) in an action near the middle of the floor, in world coordinates."""
    pose, attitude = ACTIVITIES[action](rng)
    middle, reach = _HEADINGS[action]
    heading = np.radians(middle + reach * rng.uniform(-1, 1))
    cos, sin = np.cos(heading), np.sin(heading)
    upright = np.array([[-sin, 0, cos], [cos, 0, sin], [0, -1, 0]])  # columns: left, down, forwards
    root = upright @ attitude @ to_left(rng.normal(0, 4)) @ swing(rng.normal(0, 5))
    body = posed_body(build, pose, root)
    lowest = min(body.joints[:, 2].min(), body.hands[:, 2].min(), body.toes[:, 2].min())
    place = np.array([*rng.uniform(-PLACE_MM, PLACE_MM, size=2), FLOOR_MARGIN * build.height - lowest])
    return replace(body, **{name: getattr(body, name) + place for name in _POINTS})


def h36m_joints(body: Body) -> Floats:
    """Return Human3.6M's 17 joints and Thorax: (18, 3), in the body's coordinates."""
    coco = body.joints
    head_top = body.head - body.head_frame[:, 1] * body.head_axes[1]
    torso = (body.pelvis + body.neck) / 2
    rest = [body.pelvis, *coco[[12, 14, 16, 11, 13, 15]], torso, body.neck, coco[0], head_top]
    return with_thorax(np.stack([*rest, *coco[[5, 7, 9, 6, 8, 10]]]))


def seen_by_camera(body: Body, rotation: Floats, position: Floats, focal: Floats, principal: Floats) -> Body:
    """Transform a body from world coordinates (mm) for the painter: x, y in px of the picture, z in px from the pelvis.

    Positions are projected in perspective; head and flesh have their size at the pelvis's depth.
    """

    def to_pixels(points: Floats) -> Floats:
        in_camera = (points - position) @ rotation.T
        flat = in_camera[..., :2] / in_camera[..., 2:] * focal + principal
        return np.concatenate([flat, (in_camera[..., 2:] - root_depth) * scale], axis=-1)

    root_depth = float((rotation @ (body.pelvis - position))[2])
    scale = float(focal.mean()) / root_depth
    changed = {name: to_pixels(getattr(body, name)) for name in _POINTS}
    changed |= {name: rotation @ getattr(body, name) for name in _FRAMES}
    changed |= {"face_normals": body.face_normals @ rotation.T, "head_axes": body.head_axes * scale}
    assert len(changed) + 1 == len(fields(body))
    return replace(body, height=body.height * scale, **changed)
