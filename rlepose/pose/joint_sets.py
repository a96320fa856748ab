"""Joint sets of well-known data sets: joint names, bones, and the OKS constants of their published evaluation.

Data only. skeleton.py recognises a set by its joint names, so annotation files that list them need no option.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

_BODY = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
)
# fmt: off
_BODY_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087,
    0.089, 0.089,
)
# fmt: on
_LIMBS = (
    "left_ankle-left_knee-left_hip-left_shoulder-left_elbow-left_wrist "
    "right_ankle-right_knee-right_hip-right_shoulder-right_elbow-right_wrist"
)
_TORSO = "left_hip-right_hip left_shoulder-right_shoulder left_ear-left_shoulder right_ear-right_shoulder"
_HEAD = "left_eye-right_eye nose-left_eye-left_ear nose-right_eye-right_ear"
_FEET = " ".join(f"{s}_ankle-{s}_big_toe {s}_ankle-{s}_small_toe {s}_ankle-{s}_heel" for s in ("left", "right"))
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")


class JointSet(NamedTuple):
    """names: K joint names. bones: pairs of joint indices, from 0. oks_sigmas: K OKS constants."""

    names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    oks_sigmas: tuple[float, ...]


def _joint_set(joints: str, chains: str, oks_sigmas: tuple[float, ...]) -> JointSet:
    """Build a set. joints: names separated by spaces. chains: names joined by '-', chains separated by spaces."""
    names = joints.split()
    assert len(names) == len(set(names)) == len(oks_sigmas)
    paths = [[names.index(name) for name in chain.split("-")] for chain in chains.split()]
    bones = [bone for path in paths for bone in pairwise(path)]
    return JointSet(tuple(names), tuple(bones), oks_sigmas)


def _hand(prefix: str, root: str) -> str:
    return " ".join([root, *(f"{prefix}{finger}{joint}" for finger in _FINGERS for joint in (1, 2, 3, 4))])


def _hand_chains(prefix: str, root: str) -> str:
    return " ".join(f"{root}-" + "-".join(f"{prefix}{finger}{joint}" for joint in (1, 2, 3, 4)) for finger in _FINGERS)


def _face() -> Iterator[str]:
    """Yield the 68 points of the iBUG order, named by region and side so that mirroring finds their twins.

    Jaw, brows and upper lips run from the face's right to its left, lower lips from its left to its right.
    """
    right, left = "right_{}_{}".format, "left_{}_{}".format
    yield from (right("jaw", i) for i in range(1, 9))
    yield "chin"
    yield from (left("jaw", i) for i in range(8, 0, -1))
    yield from (right("brow", i) for i in range(1, 6))
    yield from (left("brow", i) for i in range(5, 0, -1))
    yield from (f"nose_bridge_{i}" for i in range(1, 5))
    yield from ("right_nostril_1", "right_nostril_2", "nose_base", "left_nostril_2", "left_nostril_1")
    yield from (right("eyelid", i) for i in range(1, 7))
    yield from (left("eyelid", i) for i in (4, 3, 2, 1, 6, 5))
    yield from (right("lip", i) for i in (1, 2, 3))
    yield "upper_lip"
    yield from (left("lip", i) for i in (3, 2, 1, 4, 5))
    yield "lower_lip"
    yield from (right("lip", i) for i in (5, 4))
    yield from (right("inner_lip", i) for i in (1, 2))
    yield "inner_upper_lip"
    yield from (left("inner_lip", i) for i in (2, 1, 3))
    yield "inner_lower_lip"
    yield right("inner_lip", 3)


def _face_chains() -> Iterator[str]:
    """Return jaw, brows, nose, eyes and lips as chains along their points; eyes and lips are closed."""
    names = tuple(_face())
    for first, end in ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36)):
        yield "-".join(names[first:end])
    for first, end in ((36, 42), (42, 48), (48, 60), (60, 68)):
        yield "-".join([*names[first:end], names[first]])


# Estimated from repeated annotations by COCO-WholeBody's authors: evaluation/myeval_wholebody.py of
# github.com/jin-s13/COCO-WholeBody, in its order feet, face, hand.
_FOOT_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
# fmt: off
_FACE_SIGMAS = (
    0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020, 0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041,
    0.045, 0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015,
    0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010, 0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013,
    0.008, 0.011, 0.012, 0.010, 0.034, 0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009,
    0.007, 0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.010, 0.008,
)
_HAND_SIGMAS = (
    0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024, 0.022, 0.026, 0.017, 0.021, 0.021,
    0.032, 0.020, 0.019, 0.022, 0.031,
)
# fmt: on

WHOLEBODY = _joint_set(
    f"{_BODY} left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel {' '.join(_face())} "
    f"{_hand('left_', 'left_hand_root')} {_hand('right_', 'right_hand_root')}",
    " ".join(
        [_LIMBS, _TORSO, _HEAD, _FEET]
        + [f"{s}_wrist-{s}_hand_root {_hand_chains(f'{s}_', f'{s}_hand_root')}" for s in ("left", "right")]
    ),
    _BODY_SIGMAS + _FOOT_SIGMAS + _FACE_SIGMAS + _HAND_SIGMAS * 2,
)

# Joint indices of the regions in WHOLEBODY.
WHOLEBODY_PARTS = {
    "body": range(17),
    "foot": range(17, 23),
    "face": range(23, 91),
    "left hand": range(91, 112),
    "right hand": range(112, 133),
}

# The face's 68 points (iBUG, 300-W) with the constants of WholeBody. OKS scales them by the person's area there, but by
# the face's area here, so a prediction must be closer to the label for the same OKS.
FACE = _joint_set(" ".join(_face()), " ".join(_face_chains()), _FACE_SIGMAS)

# One hand, left or right, in the order of COCO-WholeBody, OneHand10K and FreiHAND, with the constants of WholeBody. OKS
# scales them by the person's area there, but by the hand's area here, so the same OKS needs a closer prediction.
HAND = _joint_set(_hand("", "wrist"), _hand_chains("", "wrist"), _HAND_SIGMAS)

# The first 26 of Halpe-FullBody's 136 joints; constants of its cocoeval.py (github.com/Fang-Haoshu/Halpe-FullBody).
HALPE26 = _joint_set(
    f"{_BODY} head neck hip left_big_toe right_big_toe left_small_toe right_small_toe left_heel right_heel",
    "left_ankle-left_knee-left_hip-hip right_ankle-right_knee-right_hip-hip head-neck-hip "
    f"neck-left_shoulder-left_elbow-left_wrist neck-right_shoulder-right_elbow-right_wrist {_HEAD} {_FEET}",
    (*_BODY_SIGMAS, 0.026, 0.026, 0.066, *[0.079] * 6),
)

# AP-10K's paper gives no constants. Its authors' code (github.com/AlexTheBad/AP-10K) and mmpose use COCO's constants in
# COCO's order, although the joints differ. This set does the same, so that AP values are comparable.
AP10K = _joint_set(
    "left_eye right_eye nose neck root_of_tail left_shoulder left_elbow left_front_paw right_shoulder right_elbow "
    "right_front_paw left_hip left_knee left_back_paw right_hip right_knee right_back_paw",
    "left_eye-right_eye left_eye-nose-right_eye nose-neck-root_of_tail neck-left_shoulder-left_elbow-left_front_paw "
    "neck-right_shoulder-right_elbow-right_front_paw root_of_tail-left_hip-left_knee-left_back_paw "
    "root_of_tail-right_hip-right_knee-right_back_paw",
    (0.025, 0.025, 0.026, *_BODY_SIGMAS[3:]),
)

CROWDPOSE = _joint_set(
    "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip left_knee "
    "right_knee left_ankle right_ankle head neck",
    f"{_LIMBS} left_hip-right_hip left_shoulder-neck-right_shoulder head-neck",
    (*_BODY_SIGMAS[5:], 0.079, 0.079),
)

# Cattle, horses and sheep from the side; constants of the authors' configs/_base_/datasets/custom4horse.py, which are
# the same for all three (github.com/yww0411/Livestock-keypoint-detection).
LIVESTOCK = _joint_set(
    "mouth eye ear neck shoulder chest hip tail elbow left_fore_wrist left_fore_foot right_fore_wrist right_fore_foot "
    "hind_knee left_hind_hock left_hind_foot right_hind_hock right_hind_foot",
    "mouth-eye-ear-neck-shoulder-chest shoulder-elbow shoulder-hip-tail elbow-left_fore_wrist-left_fore_foot "
    "elbow-right_fore_wrist-right_fore_foot hip-hind_knee-left_hind_hock-left_hind_foot "
    "hind_knee-right_hind_hock-right_hind_foot",
    (0.015, 0.014, 0.020, *[0.045] * 6, *[0.050, 0.051] * 2, 0.045, *[0.050, 0.051] * 2),
)

KNOWN = (WHOLEBODY, FACE, HAND, HALPE26, AP10K, CROWDPOSE, LIVESTOCK)
