"""Place poses of a 3-D model in space: relative to the root for any picture, absolute if the camera is known.

The model predicts pixels, and depth in mm relative to the root. The size of a pixel in mm and the distance of the
person follow from limbs of known length, by least squares. Without a focal length the projection is taken as parallel,
which is accurate if the person is many body heights away.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from rlepose.errors import InputError
from rlepose.inference.poses import PersonPose
from rlepose.pose.camera import back_project
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import H36M

Limbs = Mapping[tuple[str, str], float]  # names of two joints -> distance in mm

# Fractions of a standing person's height: Drillis and Contini 1966, as in Winter, Biomechanics and Motor Control of
# Human Movement.
_SHARES = {("Hip", "Knee"): 0.245, ("Knee", "Ankle"): 0.246, ("Shoulder", "Elbow"): 0.186, ("Elbow", "Wrist"): 0.146}
_ADULT_MM = 1700.0


def limbs_of(height_mm: float = _ADULT_MM) -> dict[tuple[str, str], float]:
    """Return the lengths of thighs, shins, upper arms and forearms of a person of average proportions, mm.

    Example:
        >>> round(limbs_of(1800.0)["R_Hip", "R_Knee"])
        441
    """
    return {
        (f"{side}_{upper}", f"{side}_{lower}"): share * height_mm
        for side in "LR"
        for (upper, lower), share in _SHARES.items()
    }


def relative_mm(person: PersonPose, limbs: Limbs | None = None) -> Floats:
    """Return joints relative to the root, for a picture without camera data: (K, 3) mm, x right, y down, z away.

    Args:
        person: a pose of a 3-D model.
        limbs: known lengths; None for an adult of 1.70 m. Errors in them scale x and y.

    Raises InputError for a pose of a 2-D model, and if the predicted depths alone make the limbs too long.
    """
    pixels, depth = person.keypoints, _depth_of(person)
    # In parallel projection, x and y are proportional to the size of a pixel in mm, and do not depend on depth.
    slope = np.column_stack([pixels, np.zeros_like(depth)])
    offset = np.column_stack([np.zeros_like(pixels), depth])
    root = int(np.flatnonzero(depth == 0)[0])
    return (slope - slope[root]) * _fitting_factor(slope, offset, limbs) + offset


def root_depth_mm(person: PersonPose, focal: ArrayLike, principal: ArrayLike, limbs: Limbs | None = None) -> float:
    """Return the depth of the root at which the limbs have their known lengths, mm.

    Args:
        person: a pose of a 3-D model.
        focal: (2,) px, focal lengths in x and y.
        principal: (2,) px, the principal point.
        limbs: see `relative_mm`. Limbs that are 5 % too long place the person about 5 % too far away.
    """
    depth = _depth_of(person)
    slope = back_project(person.keypoints, np.ones_like(depth), focal, principal)
    return _fitting_factor(slope, slope * depth[:, None], limbs)


def absolute_mm(
    person: PersonPose,
    focal: ArrayLike,
    principal: ArrayLike,
    root_depth: float | None = None,
    limbs: Limbs | None = None,
) -> Floats:
    """Return joints in the camera's frame: (K, 3) mm, x right, y down, z away.

    Args:
        person: a pose of a 3-D model.
        focal: (2,) px, focal lengths in x and y.
        principal: (2,) px, the principal point.
        root_depth: mm from the camera to the root along the optical axis; None to estimate it from `limbs`.
        limbs: see `relative_mm`.
    """
    if root_depth is None:
        root_depth = root_depth_mm(person, focal, principal, limbs)
    return back_project(person.keypoints, root_depth + _depth_of(person), focal, principal)


def _depth_of(person: PersonPose) -> Floats:
    if person.depth is None:
        raise InputError("this pose has no depth; use a checkpoint of a 3-D model (data.format=h36m)")
    return person.depth


def _fitting_factor(slope: Floats, offset: Floats, limbs: Limbs | None) -> float:
    """Return the factor f > 0 for which the joints f · slope + offset, (K, 3) mm, have limbs of the known lengths.

    Minimises the sum of squares of (|limb|² − length²) / (2 length), which approximates the error of the length where
    it is small: a polynomial of degree four in f, whose extrema are the roots of a cubic.
    """
    known = limbs_of() if limbs is None else limbs
    unknown = [name for pair in known for name in pair if name not in H36M.names]
    if unknown:
        raise InputError(f"limbs: no joint {unknown[0]!r}; the joints are {', '.join(H36M.names)}")
    ends = np.array([[H36M.names.index(name) for name in pair] for pair in known])
    lengths = np.array(list(known.values()), float)
    if not len(lengths) or not (np.isfinite(lengths) & (lengths > 0)).all():
        raise InputError(f"limbs: expected lengths above 0 mm of at least one limb, got {dict(known)}")
    a, b = (points[ends[:, 0]] - points[ends[:, 1]] for points in (slope, offset))
    # |f a + b|² − length² for each limb: a quadratic in f, highest power first.
    quadratics = np.stack([(a * a).sum(1), 2 * (a * b).sum(1), (b * b).sum(1) - lengths**2], axis=1)
    quadratics /= 2 * lengths[:, None]
    cost = np.sum([np.polymul(quadratic, quadratic) for quadratic in quadratics], axis=0)
    roots = np.roots(np.polyder(cost))
    factors = roots.real[(np.abs(roots.imag) <= 1e-6 * np.abs(roots)) & (roots.real > 0)]
    if not len(factors):
        raise InputError("limbs: no distance gives the limbs their known lengths; check that the box shows a person")
    return float(factors[np.polyval(cost, factors).argmin()])
