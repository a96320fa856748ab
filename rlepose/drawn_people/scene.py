"""The scene of drawn people: the background and the camera."""

import cv2
import numpy as np

from rlepose.drawn_people.clothes import random_colour, random_skin
from rlepose.drawn_people.painting import Bytes, Canvas, hull_of_circles
from rlepose.pose.geometry import Floats

BACKGROUND_SHAPES = (8, 24)
LIMB_DISTRACTORS = (0, 7)
BLUR_SIGMA = (0.2, 0.7)  # pixels
NOISE_SIGMA = (1.0, 5.0)  # grey levels
BRIGHTNESS = (0.75, 1.15)
# Colours of a studio under water, BGR, and their variation between pictures.
_WALL, _FLOOR, _MAT = np.array([[96.0, 62.0, 40.0], [150.0, 142.0, 132.0], [120.0, 90.0, 75.0]])
_STUDIO_SPREAD = 8


def background(rng: np.random.Generator, width: int, height: int) -> Bytes:
    """Draw soft colour clouds, shapes, lines, and a few things that look like limbs: (H, W, 3) uint8."""
    coarse = random_colour(rng) * 0.5 + 60 + rng.normal(0, 12, size=(5, 5, 3)) + rng.normal(0, 22, size=(5, 5, 1))
    clouds = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    canvas = Canvas(np.clip(clouds, 0, 255).astype(np.uint8), np.zeros((height, width), np.uint8))
    size = np.array([width, height])
    for _ in range(rng.integers(*BACKGROUND_SHAPES, endpoint=True)):
        corners = rng.integers(1, 6)
        centres = rng.uniform(0, size) + rng.normal(0, 0.1, size=(corners, 2)) * size
        radius = rng.uniform(4, 25) if corners == 1 else rng.uniform(0.6, 6)
        canvas.fill(hull_of_circles(centres, np.full(corners, radius)), random_colour(rng), 0)
    for _ in range(rng.integers(*LIMB_DISTRACTORS, endpoint=True)):
        start, radius = rng.uniform(0, size), rng.uniform(2, 9)
        ends = np.stack([start, start + rng.normal(0, 5 * radius, size=2)])
        colour = random_skin(rng) if rng.uniform() < 0.4 else random_colour(rng)
        for scale, brightness in ((1.0, 0.7), (0.6, 1.0)):
            canvas.fill(hull_of_circles(ends, np.array([1.0, 0.7]) * radius * scale), colour * brightness, 0)
    return canvas.image


def studio(rng: np.random.Generator, side: int, horizon: float, mat: Floats) -> Bytes:
    """Draw an empty room under water, (side, side, 3) uint8: wall down to row `horizon`, floor, and a mat (N, 2) px."""
    nearness = np.clip((np.arange(side) - horizon) / (side - horizon), 0, 1)[:, None, None]
    column = _WALL + (_FLOOR - _WALL) * nearness + rng.normal(0, _STUDIO_SPREAD, size=3)
    image = np.repeat(np.clip(column, 0, 255).astype(np.uint8), side, axis=1)
    canvas = Canvas(image, np.zeros((side, side), np.uint8))
    canvas.fill(mat, _MAT + rng.normal(0, _STUDIO_SPREAD, size=3), 0)
    return canvas.image


def photograph(rng: np.random.Generator, image: Bytes, brightness: tuple[float, float] = BRIGHTNESS) -> Bytes:
    """Apply blur, a random brightness factor in this range, and sensor noise."""
    blurred = cv2.GaussianBlur(image, (5, 5), rng.uniform(*BLUR_SIGMA))
    picture = rng.standard_normal(image.shape, dtype=np.float32)
    picture *= np.float32(rng.uniform(*NOISE_SIGMA))
    picture += blurred * np.float32(rng.uniform(*brightness))
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)
