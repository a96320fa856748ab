"""Draw a posed body with OpenCV, with shading, and record which body part each pixel shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rlepose.drawn_people.body import Body
from rlepose.drawn_people.clothes import Clothes
from rlepose.pose.geometry import Floats

Bytes = NDArray[np.uint8]

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

# Shading: layers of a body part as (shift towards the light and size, in radii; brightness).
SHADES = ((0.0, 1.0, 0.68), (0.2, 0.74, 0.92), (0.42, 0.4, 1.1))
FAR_SIDE_DARKENING = 0.3
# Under water: attenuation of light by a factor of e per person height, BGR, from this many heights before the pelvis.
WATER = np.array([0.5, 1.0, 1.6])
_WATER_BEGINS = -0.2

# The left joints at the ends of limbs in COCO's order; the right joints follow them.
_LIMB_ENDS = {"upper_arm": (5, 7), "forearm": (7, 9), "thigh": (11, 13), "shin": (13, 15)}
_SUBPIXEL_BITS = 4
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 14, endpoint=False)) for f in (np.cos, np.sin)], axis=1)
_FACE_AXIS = np.array([0.0, 0.42, 0.91])
_FACE_CAP_COSINE = 0.28


def _sphere_points(count: int) -> Floats:
    """Return evenly spread unit vectors (count, 3): a Fibonacci spiral."""
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], axis=1)


_SPHERE = _sphere_points(220)


@dataclass(frozen=True)
class Canvas:
    """A picture (H, W, 3) uint8 BGR and the owner (H, W) uint8 of every pixel; 0 is the background."""

    image: Bytes
    owner: Bytes

    def fill(self, polygon: Floats, colour: Floats, owner: int) -> None:
        """Fill a convex polygon (N, 2), in pixels with pixel centres at integers."""
        fixed_point = np.rint(polygon * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        bgr = [min(max(value, 0.0), 255.0) for value in colour.tolist()]
        cv2.fillConvexPoly(self.image, fixed_point, bgr, cv2.LINE_AA, _SUBPIXEL_BITS)
        cv2.fillConvexPoly(self.owner, fixed_point, [float(owner)], cv2.LINE_8, _SUBPIXEL_BITS)


def convex_hull(points: Floats) -> Floats:
    """Return the corners (N, 2) of the convex hull of points (M, 2)."""
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], dtype=np.float64)


def hull_of_circles(centres: Floats, radii: Floats) -> Floats:
    """Return the convex outline (N, 2) of circles with centres (M, 2) and radii (M,)."""
    points = (centres[:, None] + radii[:, None, None] * _CIRCLE).reshape(-1, 2)
    return convex_hull(points)


def _of_side(part: str, colours: tuple[Floats, Floats] | None, otherwise: Floats) -> Floats:
    """Return the colour of a left or right part: from `colours` if both sides differ, else `otherwise`."""
    return otherwise if colours is None else colours[part.startswith("right")]


class PersonPainter:
    """Draws one body, part by part from far to near."""

    def __init__(
        self,
        canvas: Canvas,
        body: Body,
        clothes: Clothes,
        light: Floats,
        first_owner: int,
        distance: float = np.inf,
        in_water: bool = False,
    ) -> None:
        """Prepare to draw a body.

        light: (2,) direction in the picture. first_owner: part i of PARTS gets the owner number first_owner + i.
        distance: from the camera to the pelvis, in the body's unit; nearer parts are thicker. in_water: whether distant
        parts are darker and bluer.
        """
        self.canvas, self.body, self.clothes, self.light, self.first_owner = canvas, body, clothes, light, first_owner
        self.distance = distance
        self.water = WATER * in_water
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
        """Return the joints at both ends of e.g. 'left_thigh', (3,) each, the one closer to the trunk first."""
        side, _, limb = part.partition("_")
        start, end = _LIMB_ENDS[limb]
        right = int(side == "right")
        return self.body.joints[start + right], self.body.joints[end + right]

    def _depth(self, part: str) -> float:
        """Return the mean z of a part, in pixels."""
        body = self.body
        if part == "head":  # the chin overhangs the collar, so an upright head is drawn after the torso
            return float(body.head[2] - 0.05 * body.height)
        if part == "neck":
            return float(body.neck[2] - 0.02 * body.height)
        if part == "torso":
            return float(body.neck[2] + body.pelvis[2]) / 2
        if part == "pelvis":
            return float(body.pelvis[2])
        start, end = self._limb_ends(part)
        return float(start[2] + end[2]) / 2

    def _solid(self, part: str, centres: Sequence[Floats], radii: Sequence[float], colour: Floats) -> None:
        """Draw the shaded hull of balls; centres in camera coordinates, radii in heights at normal stoutness."""
        points = np.array(centres)
        sizes = np.array(radii) * self.thickness * self._nearness(points[:, 2])
        behind = (points[:, 2].mean() - self.body.pelvis[2]) / (0.15 * self.body.height)
        colour = colour * (1 - FAR_SIDE_DARKENING * np.clip(behind, 0, 1))
        pieces = self._pieces(points, sizes)
        for shift, size, brightness in SHADES:
            for balls, ball_sizes in pieces:
                outline = hull_of_circles(balls[:, :2] + shift * ball_sizes[:, None] * self.light, ball_sizes * size)
                self._fill(part, outline, colour * brightness, float(balls[:, 2].mean()))

    def _pieces(self, points: Floats, sizes: Floats) -> list[tuple[Floats, Floats]]:
        """Return balls to draw in order: under water, both halves of a limb, the farther one first."""
        if len(points) != 2 or not self.water.any():
            return [(points, sizes)]
        order = np.argsort(-points[:, 2])
        points, sizes = points[order], sizes[order]
        middle, size = points.mean(axis=0), sizes.mean()
        return [
            (np.stack([points[0], middle]), np.array([sizes[0], size])),
            (np.stack([middle, points[1]]), np.array([size, sizes[1]])),
        ]

    def _fill(self, part: str, outline: Floats, colour: Floats, depth: float | None = None) -> None:
        """Fill an outline. depth: its z in pixels, the part's by default."""
        behind = ((self._depth(part) if depth is None else depth) - self.body.pelvis[2]) / self.body.height
        left_over = np.exp(-self.water * (behind - _WATER_BEGINS))
        self.canvas.fill(outline, colour * left_over, self.first_owner + PARTS.index(part))

    def _nearness(self, depth: Floats) -> Floats:
        """Return the magnification of something at this z, relative to the pelvis."""
        return 1 / (1 + (depth - self.body.pelvis[2]) / self.distance)

    def _torso(self) -> None:
        body, clothes, frame = self.body, self.clothes, self.body.torso_frame
        spine = body.neck - body.pelvis

        def at(left: float, up: float, forward: float = 0.0) -> Floats:
            return body.pelvis + spine * up + frame @ (left * body.height, 0.0, forward * body.height)

        half_widths_and_heights = ((0.078, 0.92), (0.036, 0.62), (0.036, 0.12))
        centres = [at(sign * left, up) for left, up in half_widths_and_heights for sign in (1, -1)]
        self._solid("torso", centres, [0.040, 0.040, 0.060, 0.060, 0.054, 0.054], clothes.shirt)
        depth = 0.055 * clothes.stoutness
        if clothes.front is not None and frame[2, 2] < -0.1:
            panel = [at(left, up, depth) for left, up in ((0.03, 0.95), (-0.03, 0.95), (-0.045, 0.05), (0.045, 0.05))]
            self._fill("torso", np.array(panel)[:, :2], clothes.front)
        if frame[2, 2] < -0.25:  # the chest faces the viewer
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
        sleeve = _of_side(part, clothes.sleeves, clothes.shirt)
        if clothes.long_sleeves:
            self._solid(part, [shoulder, elbow], [0.038, 0.031], sleeve)
            return
        self._solid(part, [shoulder, elbow], [0.035, 0.028], clothes.skin)
        self._solid(part, [shoulder, shoulder + 0.5 * (elbow - shoulder)], [0.039, 0.037], sleeve)

    def _forearm(self, part: str, elbow: Floats, wrist: Floats) -> None:
        clothes, left = self.clothes, part.startswith("left")
        glove = _of_side(part, clothes.gloves, clothes.skin)
        self._solid(part, [wrist, self.body.hands[0 if left else 1]], [0.020, 0.023], glove)
        if clothes.long_sleeves:
            sleeve = _of_side(part, clothes.sleeves, clothes.shirt)
            self._solid(part, [elbow, elbow + 0.93 * (wrist - elbow)], [0.030, 0.024], sleeve)
        else:
            self._solid(part, [elbow, wrist], [0.028, 0.020], clothes.skin)
        if left:  # the watch distinguishes the sides if the face is not visible
            band = [elbow + share * (wrist - elbow) for share in (0.90, 0.96)]
            self._solid(part, band, [0.023, 0.022], clothes.watch)

    def _thigh(self, part: str, hip: Floats, knee: Floats) -> None:
        self._solid(part, [hip, knee], [0.057, 0.040], self._leg(part))

    def _shin(self, part: str, knee: Floats, ankle: Floats) -> None:
        clothes = self.clothes
        if clothes.long_trousers:
            self._solid(part, [knee, ankle], [0.040, 0.029], self._leg(part))
        else:
            self._solid(part, [knee, ankle], [0.036, 0.023], clothes.skin)
        heel, toe = ankle + 0.08 * (ankle - knee), self.body.toes[0 if part.startswith("left") else 1]
        self._solid(part, [heel, toe], [0.027, 0.020], _of_side(part, clothes.boots, clothes.shoes))

    def _leg(self, part: str) -> Floats:
        return _of_side(part, self.clothes.legs, self.clothes.trousers)

    def _head(self) -> None:
        """Draw a ball of hair with a cap of face on it, which looks right from every direction."""
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
        # Points of the ellipsoid whose outward normal faces the viewer.
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
