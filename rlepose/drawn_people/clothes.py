"""Clothes of drawn people, and colours of cloth, skin and hair."""

import colorsys
from dataclasses import dataclass

import numpy as np

from rlepose.pose.geometry import Floats


@dataclass(frozen=True)
class Clothes:
    """Colours (BGR, 0-255) and cuts of one person's clothes and hair; stoutness scales the thickness of limbs.

    front: colour of the chest under an open jacket; None for no jacket.
    sleeves, legs, gloves, boots: colours for the left and the right limb; None for the colours of shirt, trousers, skin
    and shoes on both sides.
    """

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
    front: Floats | None = None
    sleeves: tuple[Floats, Floats] | None = None
    legs: tuple[Floats, Floats] | None = None
    gloves: tuple[Floats, Floats] | None = None
    boots: tuple[Floats, Floats] | None = None


def random_colour(rng: np.random.Generator) -> Floats:
    """Draw a cloth-like colour, BGR 0-255: any hue, seldom garish."""
    rgb = colorsys.hsv_to_rgb(rng.uniform(), rng.beta(1.5, 2.0), rng.uniform(0.15, 1.0))
    return np.array([255 * value for value in rgb[::-1]])


def random_skin(rng: np.random.Generator) -> Floats:
    """Draw a skin tone, BGR 0-255."""
    dark, pale = np.array([45.0, 65.0, 100.0]), np.array([185.0, 205.0, 240.0])
    tone: Floats = dark + (pale - dark) * rng.uniform() + rng.uniform(-8, 8, size=3)
    return tone


def sample_clothes(rng: np.random.Generator) -> Clothes:
    """Draw clothes, skin and hair."""
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
