"""Joints of a data set: names, left/right pairs, bones, and OKS constants."""

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from rlepose.errors import InputError
from rlepose.pose.joint_sets import KNOWN
from rlepose.pose.sides import mirror_twins, plain_side, possible_twins, sided_names, words_of

FlipPairs = Sequence[tuple[str, str]]

# COCO's per-joint constants (cocodataset.org, keypoint evaluation), by joint name without the side.
# CrowdPose uses the same numbers and adds neck and head. joint_sets.py has constants of complete joint sets.
_OKS_SIGMA_BY_NAME = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
    "neck": 0.079,
    "head": 0.079,
    "head_top": 0.079,
}
# Default for joints that are not in the table: about the mean of COCO's seventeen (0.063).
DEFAULT_OKS_SIGMA = 0.062

_LOWER_BODY = {"hip", "knee", "ankle", "foot", "heel", "toe", "pelvis"}
_UPPER_BODY = {"nose", "eye", "ear", "head", "neck", "shoulder", "elbow", "wrist", "thorax"}


def _canonical(name: str) -> frozenset[str]:
    """Return the words of a name, with the side written out in English."""
    sided = plain_side(name)
    return frozenset(words_of(name) if sided is None else {sided.side, *sided.stem} - {""})


def known_oks_sigmas(names: Sequence[str]) -> list[float | None]:
    """Return the built-in OKS constants: of the data set with exactly these joints, else by the name of each joint.

    None for joints without a built-in constant.
    """
    published = _published().get(frozenset(map(_canonical, names)))
    if published is not None:
        return [published[_canonical(name)] for name in names]
    return [_OKS_SIGMA_BY_NAME.get("_".join(stem)) for stem in _stems(names)]


def _stems(names: Sequence[str]) -> list[list[str]]:
    """The words of each name without its side."""
    return [
        list(words_of(name)) if sided is None else [word.strip("-") for word in sided.stem if word]
        for name, sided in zip(names, sided_names(names), strict=True)
    ]


@cache
def _published() -> dict[frozenset[frozenset[str]], dict[frozenset[str], float]]:
    tables = [dict(zip(map(_canonical, known.names), known.oks_sigmas, strict=True)) for known in KNOWN]
    return {frozenset(table): table for table in tables}


@dataclass(frozen=True)
class Skeleton:
    """The joints of one type of body.

    names:      K joint names.
    bones:      pairs of joint indices to draw as lines.
    oks_sigmas: K OKS constants: standard deviation of the labels divided by the square root of the person's area.
    twins:      pairs of joint indices that mirroring swaps; None to derive them from the names.
    """

    names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    oks_sigmas: tuple[float, ...]
    twins: tuple[tuple[int, int], ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def flip_permutation(self) -> tuple[int, ...]:
        """The index of each joint's mirror twin (its own index for a joint in the middle)."""
        if self.twins is not None:
            other = {i: j for pair in self.twins for i, j in (pair, pair[::-1])}
            return tuple(other.get(index, index) for index in range(len(self)))
        return tuple(mirror_twins(self.names))

    def ambiguous_names(self) -> list[str]:
        """Return names that differ only in spelling ('left_hip' and 'LeftHip'), so that their twin is ambiguous."""
        spelled = [words_of(name) for name in self.names]
        return [name for name, words in zip(self.names, spelled, strict=True) if spelled.count(words) > 1]

    @property
    def without_twin(self) -> list[str]:
        """Names that have a side but no mirror twin ('rigth_eye' beside 'left_eye'), so mirroring keeps them.

        Empty if the twins are given.
        """
        if self.twins is not None:
            return []
        sided = sided_names(self.names)
        return [name for i, name in enumerate(self.names) if sided[i] and self.flip_permutation[i] == i]

    @property
    def possible_twins(self) -> list[str]:
        """Return names that may be left and right although no pair is recognised; see `sides.possible_twins`.

        Empty where the twins are given, where a pair is recognised, and for a published set of joints.
        """
        known = self.twins is not None or self.flip_pairs or frozenset(map(_canonical, self.names)) in _published()
        return [] if known else possible_twins(self.names)

    @property
    def flip_pairs(self) -> list[tuple[int, int]]:
        """The pairs (i, j), i < j, that mirroring swaps."""
        return [(i, j) for i, j in enumerate(self.flip_permutation) if i < j]

    def is_left(self, joint: int) -> bool:
        """Whether a joint is on the body's left: as its name says, else the first of its pair is."""
        sided = sided_names(self.names)[joint]
        return joint in [first for first, _ in self.twins or ()] if sided is None else sided.side == "left"

    @cached_property
    def upper_body(self) -> tuple[bool, ...] | None:
        """Which joints lie above the hips, or None where the names do not tell both halves apart."""
        words = [set(stem) for stem in _stems(self.names)]
        if not any(w & _LOWER_BODY for w in words) or not any(w & _UPPER_BODY for w in words):
            return None
        return tuple(not w & _LOWER_BODY for w in words)

    def find(self, name: str) -> int | None:
        """Return the index of the joint with this name in any spelling ('left_hip', 'LHip'), or None."""
        if name in self.names:
            return self.names.index(name)
        wanted = _canonical(name)
        return next((index for index, other in enumerate(self.names) if _canonical(other) == wanted), None)

    def joint(self, name: str, option: str) -> int:
        """Return the index of the joint that an option names; InputError, with the nearest names, if there is none."""
        index = self.find(name)
        if index is None:
            nearest = difflib.get_close_matches(name, self.names, n=3, cutoff=0)
            raise InputError(f"{option}: no joint {name}; the nearest names are {', '.join(nearest)}")
        return index

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists for JSON and checkpoints."""
        tree: dict[str, Any] = {
            "names": list(self.names),
            "bones": [list(bone) for bone in self.bones],
            "oks_sigmas": list(self.oks_sigmas),
        }
        return tree if self.twins is None else tree | {"twins": [list(pair) for pair in self.twins]}

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> "Skeleton":
        """Build a skeleton from the output of `to_dict`."""
        return cls(
            names=tuple(tree["names"]),
            bones=tuple((int(i), int(j)) for i, j in tree["bones"]),
            oks_sigmas=tuple(float(sigma) for sigma in tree["oks_sigmas"]),
            twins=tuple((int(i), int(j)) for i, j in tree["twins"]) if "twins" in tree else None,
        )


def twins_of(pairs: FlipPairs | None, names: Sequence[str], path: str | Path) -> tuple[tuple[int, int], ...] | None:
    """Return `data.flip_pairs` as pairs of joint indices, or None. path: annotation file to name in messages.

    Raises InputError for an unknown joint and for a joint in two pairs.
    """
    if pairs is None:
        return None
    paired = list(itertools.chain(*pairs))
    for name in paired:
        if name not in names:
            raise InputError(f"data.flip_pairs: {path} has no joint {name!r}; it has {', '.join(names)}")
        if paired.count(name) > 1:
            raise InputError(f"data.flip_pairs: {name!r} appears twice; list each joint at most once")
    return tuple((names.index(first), names.index(second)) for first, second in pairs)


def skeleton_from_names(names: Sequence[str], bones: Sequence[tuple[int, int]] = ()) -> Skeleton:
    """Return a skeleton with the built-in OKS constants, and the default for joints without one."""
    sigmas = tuple(sigma or DEFAULT_OKS_SIGMA for sigma in known_oks_sigmas(names))
    return Skeleton(tuple(names), tuple(bones), sigmas)


COCO = skeleton_from_names(
    (
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    (
        (15, 13),
        (13, 11),
        (16, 14),
        (14, 12),
        (11, 12),
        (5, 11),
        (6, 12),
        (5, 6),
        (5, 7),
        (6, 8),
        (7, 9),
        (8, 10),
        (1, 2),
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 4),
        (3, 5),
        (4, 6),
    ),
)

# Human3.6M's joints as in the RLE authors' files, with an 18th, Thorax, that is trained but not evaluated.
H36M = skeleton_from_names(
    (
        "Pelvis",
        "R_Hip",
        "R_Knee",
        "R_Ankle",
        "L_Hip",
        "L_Knee",
        "L_Ankle",
        "Torso",
        "Neck",
        "Nose",
        "Head",
        "L_Shoulder",
        "L_Elbow",
        "L_Wrist",
        "R_Shoulder",
        "R_Elbow",
        "R_Wrist",
        "Thorax",
    ),
    (
        (0, 1),
        (1, 2),
        (2, 3),
        (0, 4),
        (4, 5),
        (5, 6),
        (0, 7),
        (7, 8),
        (8, 9),
        (9, 10),
        (8, 11),
        (11, 12),
        (12, 13),
        (8, 14),
        (14, 15),
        (15, 16),
    ),
)

H36M_ROOT = H36M.names.index("Pelvis")  # depths are relative to this joint

MPII = skeleton_from_names(
    (
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "thorax",
        "neck",
        "head",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    ),
    (
        (0, 1),
        (1, 2),
        (2, 6),
        (6, 3),
        (3, 4),
        (4, 5),
        (6, 7),
        (7, 8),
        (8, 9),
        (7, 12),
        (12, 11),
        (11, 10),
        (7, 13),
        (13, 14),
        (14, 15),
    ),
)
