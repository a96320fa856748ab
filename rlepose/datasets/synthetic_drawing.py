"""Articulated synthetic people: 3-D kinematics, clothes, and drawing with OpenCV.

Camera coordinates are in pixels: x right, y down, z away from the viewer; orthographic projection drops z.
A body frame is a 3x3 matrix whose columns are the body's left, down and forward directions in camera coordinates.
Lengths of the body are fractions of the person's height, angles are degrees.
"""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Range = tuple[float, float]

PARTS = (
    "torso",
    "pelvis",
    "neck",
    "head",
    "left_upper_arm",
    "right_upper_arm",
    "left_forearm",
    "right_forearm",
    "left_thigh",
    "right_thigh",
    "left_shin",
    "right_shin",
)
FACE_POINTS = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")

# Shading: layers of a body part as (shift towards the light and size, in radii; brightness).
SHADES = ((0.0, 1.0, 0.68), (0.2, 0.74, 0.92), (0.42, 0.4, 1.1))
FAR_SIDE_DARKENING = 0.3
PROPORTION_SPREAD = 0.06

# The left joints at a limb's ends in COCO's order; the right ones follow them.
_LIMB_ENDS = {"upper_arm": (5, 7), "forearm": (7, 9), "thigh": (11, 13), "shin": (13, 15)}
_SUBPIXEL_BITS = 4
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 14, endpoint=False)) for f in (np.cos, np.sin)], axis=1)
_FACING_VIEWER = np.diag([1.0, 1.0, -1.0])
_HEAD_AXES = np.array([0.050, 0.070, 0.060])
# Directions on the head's ellipsoid (left, down, forward), in its semi-axes, in the order of FACE_POINTS.
_FACE_DIRECTIONS = np.array(
    [[0.0, 0.22, 1.08], [0.38, -0.1, 0.92], [-0.38, -0.1, 0.92], [1.02, 0.05, -0.1], [-1.02, 0.05, -0.1]]
)
_FACE_AXIS = np.array([0.0, 0.42, 0.91])
_FACE_CAP_COSINE = 0.28


def _sphere_points(count: int) -> Floats:
    """Evenly spread unit vectors (count, 3): a Fibonacci spiral."""
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], axis=1)


_SPHERE = _sphere_points(220)


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


@dataclass(frozen=True)
class Clothes:
    """Colours (BGR, 0-255) and cuts of one person's clothes and hair; stoutness scales the limbs' thickness."""

    shirt: Floats
    trousers: Floats
    skin: Floats
    hair: Floats
    shoes: Floats
    watch: Floats
    long_sleeves: bool
    long_trousers: bool
    long_hair: bool
    stoutness: float


@dataclass(frozen=True)
class Canvas:
    """A picture (H, W, 3) uint8 BGR and the owner (H, W) uint8 of every pixel; 0 is the background."""

    image: Bytes
    owner: Bytes

    def fill(self, polygon: Floats, colour: Floats, owner: int) -> None:
        """Fill a convex polygon (N, 2), in pixels with pixel centres at integers."""
        fixed_point = np.rint(polygon * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        bgr = [float(value) for value in np.clip(colour, 0, 255)]
        cv2.fillConvexPoly(self.image, fixed_point, bgr, cv2.LINE_AA, _SUBPIXEL_BITS)
        cv2.fillConvexPoly(self.owner, fixed_point, [float(owner)], cv2.LINE_8, _SUBPIXEL_BITS)


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


def random_colour(rng: np.random.Generator) -> Floats:
    """A cloth-like colour, BGR 0-255: any hue, seldom garish."""
    rgb = colorsys.hsv_to_rgb(rng.uniform(), rng.beta(1.5, 2.0), rng.uniform(0.15, 1.0))
    return np.array([255 * value for value in rgb[::-1]])


def random_skin(rng: np.random.Generator) -> Floats:
    """A skin tone, BGR 0-255."""
    dark, pale = np.array([45.0, 65.0, 100.0]), np.array([185.0, 205.0, 240.0])
    tone: Floats = dark + (pale - dark) * rng.uniform() + rng.uniform(-8, 8, size=3)
    return tone


def sample_clothes(rng: np.random.Generator) -> Clothes:
    """Random clothes, skin and hair."""
    hair_tones = np.array([[20, 20, 25], [30, 45, 70], [60, 110, 150], [110, 180, 220], [150, 150, 150]], dtype=float)
    return Clothes(
        shirt=random_colour(rng),
        trousers=random_colour(rng) * 0.8,
        skin=random_skin(rng),
        hair=hair_tones[rng.integers(len(hair_tones))] + rng.uniform(-15, 15, size=3),
        shoes=random_colour(rng) * 0.7,
        watch=random_colour(rng) * 0.5,
        long_sleeves=bool(rng.uniform() < 0.5),
        long_trousers=bool(rng.uniform() < 0.7),
        long_hair=bool(rng.uniform() < 0.3),
        stoutness=float(rng.uniform(0.95, 1.35)),
    )


def convex_hull(points: Floats) -> Floats:
    """The corners (N, 2) of the convex hull of points (M, 2)."""
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], dtype=np.float64)


def hull_of_circles(centres: Floats, radii: Floats) -> Floats:
    """The convex outline (N, 2) of circles with centres (M, 2) and radii (M,)."""
    points = (centres[:, None] + radii[:, None, None] * _CIRCLE).reshape(-1, 2)
    return convex_hull(points)


class PersonPainter:
    """Draws one body, part by part from far to near."""

    def __init__(self, canvas: Canvas, body: Body, clothes: Clothes, light: Floats, first_owner: int) -> None:
        """`light`: (2,) direction in the picture; part i of PARTS gets the owner number first_owner + i."""
        self.canvas, self.body, self.clothes, self.light, self.first_owner = canvas, body, clothes, light, first_owner
        self.thickness = body.height * clothes.stoutness

    def draw(self) -> None:
        """Draw all parts, the deepest first."""
        limbs = {
            "upper_arm": self._upper_arm,
            "forearm": self._forearm,
            "thigh": self._thigh,
            "shin": self._shin,
        }
        trunk = {"torso": self._torso, "pelvis": self._pelvis, "neck": self._neck, "head": self._head}
        for part in sorted(PARTS, key=self._depth, reverse=True):
            if part in trunk:
                trunk[part]()
            else:
                limbs[part.partition("_")[2]](part, *self._limb_ends(part))

    def _limb_ends(self, part: str) -> tuple[Floats, Floats]:
        """The joints at both ends of e.g. 'left_thigh', (3,) each, the nearer to the trunk first."""
        side, _, limb = part.partition("_")
        start, end = _LIMB_ENDS[limb]
        right = int(side == "right")
        return self.body.joints[start + right], self.body.joints[end + right]

    def _depth(self, part: str) -> float:
        """Mean z of a part, in pixels."""
        body = self.body
        if part == "head":  # the chin hangs over the collar: an upright head is drawn after the torso
            return float(body.head[2] - 0.05 * body.height)
        if part == "neck":
            return float(body.neck[2] - 0.02 * body.height)
        if part == "torso":
            return float(body.neck[2] + body.pelvis[2]) / 2
        if part == "pelvis":
            return float(body.pelvis[2])
        start, end = self._limb_ends(part)
        return float(start[2] + end[2]) / 2

    def _solid(self, part: str, centres: list[Floats], radii: list[float], colour: Floats) -> None:
        """The hull of balls, shaded; centres in camera coordinates, radii in heights at normal stoutness."""
        points, sizes = np.array(centres), np.array(radii) * self.thickness
        behind = (points[:, 2].mean() - self.body.pelvis[2]) / (0.15 * self.body.height)
        colour = colour * (1 - FAR_SIDE_DARKENING * np.clip(behind, 0, 1))
        for shift, size, brightness in SHADES:
            outline = hull_of_circles(points[:, :2] + shift * sizes[:, None] * self.light, sizes * size)
            self._fill(part, outline, colour * brightness)

    def _fill(self, part: str, outline: Floats, colour: Floats) -> None:
        self.canvas.fill(outline, colour, self.first_owner + PARTS.index(part))

    def _torso(self) -> None:
        body, clothes, frame = self.body, self.clothes, self.body.torso_frame
        spine = body.neck - body.pelvis

        def at(left: float, up: float, forward: float = 0.0) -> Floats:
            return body.pelvis + spine * up + frame @ (left * body.height, 0.0, forward * body.height)

        half_widths_and_heights = ((0.078, 0.92), (0.036, 0.62), (0.036, 0.12))
        centres = [at(sign * left, up) for left, up in half_widths_and_heights for sign in (1, -1)]
        self._solid("torso", centres, [0.040, 0.040, 0.060, 0.060, 0.054, 0.054], clothes.shirt)
        if frame[2, 2] < -0.25:  # the chest faces the viewer
            depth = 0.055 * clothes.stoutness
            collar = [at(0.035, 1.0, 0.02), at(-0.035, 1.0, 0.02), at(0.0, 0.86, depth)]
            self._fill("torso", np.array(collar)[:, :2], clothes.skin * 0.9)
            pocket = [at(0.03, 0.72, depth), at(0.065, 0.72, depth), at(0.065, 0.58, depth), at(0.03, 0.58, depth)]
            self._fill("torso", np.array(pocket)[:, :2], clothes.shirt * 0.55 + 15)

    def _pelvis(self) -> None:
        body = self.body
        to_left, down = body.pelvis_frame[:, 0] * 0.040 * body.height, body.pelvis_frame[:, 1] * body.height
        waist, seat = body.pelvis - 0.035 * down, body.pelvis + 0.01 * down
        centres = [waist + to_left, waist - to_left, seat + to_left, seat - to_left]
        self._solid("pelvis", centres, [0.054, 0.054, 0.056, 0.056], self.clothes.trousers)

    def _neck(self) -> None:
        self._solid("neck", [self.body.neck, self.body.head], [0.034, 0.030], self.clothes.skin * 0.9)

    def _upper_arm(self, part: str, shoulder: Floats, elbow: Floats) -> None:
        clothes = self.clothes
        if clothes.long_sleeves:
            self._solid(part, [shoulder, elbow], [0.038, 0.031], clothes.shirt)
            return
        self._solid(part, [shoulder, elbow], [0.035, 0.028], clothes.skin)
        self._solid(part, [shoulder, shoulder + 0.5 * (elbow - shoulder)], [0.039, 0.037], clothes.shirt)

    def _forearm(self, part: str, elbow: Floats, wrist: Floats) -> None:
        clothes, left = self.clothes, part.startswith("left")
        self._solid(part, [wrist, self.body.hands[0 if left else 1]], [0.020, 0.023], clothes.skin)
        if clothes.long_sleeves:
            self._solid(part, [elbow, elbow + 0.93 * (wrist - elbow)], [0.030, 0.024], clothes.shirt)
        else:
            self._solid(part, [elbow, wrist], [0.028, 0.020], clothes.skin)
        if left:  # the watch tells the sides apart where the face does not
            band = [elbow + share * (wrist - elbow) for share in (0.90, 0.96)]
            self._solid(part, band, [0.023, 0.022], clothes.watch)

    def _thigh(self, part: str, hip: Floats, knee: Floats) -> None:
        self._solid(part, [hip, knee], [0.057, 0.040], self.clothes.trousers)

    def _shin(self, part: str, knee: Floats, ankle: Floats) -> None:
        clothes = self.clothes
        if clothes.long_trousers:
            self._solid(part, [knee, ankle], [0.040, 0.029], clothes.trousers)
        else:
            self._solid(part, [knee, ankle], [0.036, 0.023], clothes.skin)
        heel, toe = ankle + 0.08 * (ankle - knee), self.body.toes[0 if part.startswith("left") else 1]
        self._solid(part, [heel, toe], [0.027, 0.020], clothes.shoes)

    def _head(self) -> None:
        """A ball of hair with a cap of face on it, so that every direction of view comes out right."""
        body, clothes = self.body, self.clothes
        semi_axes = body.head_frame * body.head_axes
        back = body.head - semi_axes[:, 2] * 0.45
        hair_behind = back[2] > body.head[2]
        if clothes.long_hair and hair_behind:
            self._long_hair(back)
        ears = [] if clothes.long_hair else list(zip(body.joints[3:5], body.face_normals[3:5, 2], strict=True))
        for ear, away in ears:
            if away > 0:
                self._ear(ear)
        # The outline of a projected ellipsoid: the unit circle mapped by a square root of its 2x2 shape matrix.
        shape = semi_axes[:2] @ semi_axes[:2].T
        outline = body.head[:2] + 1.04 * _CIRCLE @ np.linalg.cholesky(shape).T
        for shift, scale, brightness in SHADES:
            centre = body.head[:2] + shift * body.head_axes[0] * self.light
            self._fill("head", centre + (outline - body.head[:2]) * scale, clothes.hair * brightness)
        self._face(semi_axes)
        for ear, away in ears:
            if away <= 0:
                self._ear(ear)
        if clothes.long_hair and not hair_behind:
            self._long_hair(back)

    def _long_hair(self, back: Floats) -> None:
        tip = back + self.body.head_frame[:, 1] * self.body.head_axes[1] * 1.4
        self._solid("head", [back, tip], [0.046, 0.035], self.clothes.hair)

    def _ear(self, ear: Floats) -> None:
        radius = 0.22 * float(self.body.head_axes[0]) / self.thickness
        self._solid("head", [ear], [radius], self.clothes.skin * 0.9)

    def _face(self, semi_axes: Floats) -> None:
        body, clothes = self.body, self.clothes
        on_face = _SPHERE @ _FACE_AXIS >= _FACE_CAP_COSINE
        directions = _SPHERE[on_face] @ semi_axes.T
        # Points of the ellipsoid whose outward normal looks at the viewer.
        normals = (_SPHERE[on_face] / body.head_axes) @ body.head_frame.T
        visible = directions[normals[:, 2] <= 0]
        if len(visible) < 3:
            return
        hull = convex_hull((body.head + visible)[:, :2])
        middle = hull.mean(axis=0)
        self._fill("head", hull, clothes.skin * 0.85)
        self._fill("head", middle + (hull - middle) * 0.8 + 0.15 * body.head_axes[0] * self.light, clothes.skin * 1.05)
        radius = float(body.head_axes[0])
        nose, left_eye, right_eye = body.joints[:3]
        for eye, normal in zip((left_eye, right_eye), body.face_normals[1:3], strict=True):
            if normal[2] < 0.05:
                self._fill("head", eye[:2] + 0.20 * radius * _CIRCLE * (1.0, 0.8), np.full(3, 235.0))
                self._fill("head", eye[:2] + 0.13 * radius * _CIRCLE, np.full(3, 25.0))
        if body.face_normals[0, 2] < 0.25:
            bridge = body.head + semi_axes @ (0.0, -0.1, 0.95)
            sides = np.array([0.03, 0.14]) * radius
            self._fill("head", hull_of_circles(np.array([bridge, nose])[:, :2], sides), clothes.skin * 0.7)
            mouth = [body.head + semi_axes @ (left, 0.55, 0.83) for left in (0.22, -0.22)]
            if mouth[0][2] < body.head[2] and mouth[1][2] < body.head[2]:
                lips = hull_of_circles(np.array(mouth)[:, :2], np.full(2, 0.07 * radius))
                self._fill("head", lips, clothes.skin * (0.5, 0.5, 0.8))
