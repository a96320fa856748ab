"""Left and right, halves and OKS constants, from the joints' names."""

import json

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from rlepose.pose.joint_sets import AP10K, CROWDPOSE, FACE, HALPE26, WHOLEBODY, JointSet
from rlepose.pose.joint_sets import HAND as HAND21
from rlepose.pose.skeleton import COCO, DEFAULT_OKS_SIGMA, Skeleton, known_oks_sigmas, skeleton_from_names

HAND = skeleton_from_names(("palm", "thumb1", "thumb2", "index1", "index2"), ((0, 1), (1, 2), (0, 3), (3, 4)))
SPELLINGS = [
    ("left_knee", "right_knee"),
    ("LeftKnee", "RightKnee"),
    ("leftKnee", "rightKnee"),
    ("l_knee", "r_knee"),
    ("LKnee", "RKnee"),
    ("knee_left", "knee_right"),
    ("KNEE-L", "KNEE-R"),
    ("Left Knee", "Right Knee"),
    ("kneeleft", "kneeright"),
    ("lknee", "rknee"),
    ("kneeL", "kneeR"),
    ("Lknee", "Rknee"),
    ("knee_links", "knee_rechts"),
    ("knee_gauche", "knee_droit"),
    ("knee_izquierda", "knee_derecha"),
    ("左knee", "右knee"),
    ("knee왼쪽", "knee오른쪽"),
]


@pytest.mark.parametrize(("left", "right"), SPELLINGS)
def test_sides_are_paired_in_every_spelling(left: str, right: str) -> None:
    skeleton = skeleton_from_names((left, "nose", right))
    assert skeleton.flip_permutation == (2, 1, 0)
    assert skeleton.flip_pairs == [(0, 2)]


@pytest.mark.parametrize(("left", "right"), SPELLINGS)
def test_left_is_known_in_every_spelling(left: str, right: str) -> None:
    skeleton = skeleton_from_names((left, "nose", right))
    assert [skeleton.is_left(joint) for joint in range(3)] == [True, False, False]


@pytest.mark.parametrize("names", SPELLINGS)
def test_oks_constant_is_known_in_every_spelling(names: tuple[str, str]) -> None:
    assert known_oks_sigmas(names) == [0.087, 0.087]


def test_a_joint_without_a_twin_stays_where_it_is() -> None:
    assert skeleton_from_names(("left_hip", "left_toe", "right_hip")).flip_permutation == (2, 1, 0)


def test_different_parts_of_one_side_are_not_paired() -> None:
    assert skeleton_from_names(("left_hip", "right_knee")).flip_pairs == []


def test_cocos_pairs() -> None:
    assert COCO.flip_pairs == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]


def test_cocos_oks_constants_are_the_reference_evaluators() -> None:
    np.testing.assert_allclose(COCO.oks_sigmas, Params("keypoints").kpt_oks_sigmas)


def test_cocos_upper_body_ends_above_the_hips() -> None:
    assert COCO.upper_body == (True,) * 11 + (False,) * 6


def test_a_joint_of_unknown_name_gets_the_default_constant() -> None:
    assert known_oks_sigmas(["left_antenna"]) == [None]
    assert skeleton_from_names(("left_antenna", "nose")).oks_sigmas == (DEFAULT_OKS_SIGMA, 0.026)


@pytest.mark.parametrize("names", [HAND.names, ("left_hip", "right_knee"), ("nose", "left_eye")])
def test_joints_of_one_half_only_have_no_upper_body(names: tuple[str, ...]) -> None:
    assert skeleton_from_names(names).upper_body is None


def test_a_hand_without_sides_is_not_changed_by_a_flip() -> None:
    assert HAND.flip_permutation == (0, 1, 2, 3, 4)
    assert HAND.flip_pairs == []


def test_index_finds_a_joint_by_side_and_part() -> None:
    skeleton = skeleton_from_names(("HipRight", "r_shoulder", "LeftShoulder"))
    assert skeleton.find("left_shoulder") == 2
    assert skeleton.find("left_hip") is None


def test_a_joint_whose_name_is_spelled_the_same_is_found_before_one_of_the_same_words() -> None:
    skeleton = skeleton_from_names(("finger_1", "finger_1_1", "cheek_1_2", "cheek_2_1"))
    assert [skeleton.find(name) for name in skeleton.names] == [0, 1, 2, 3]


@pytest.mark.parametrize("skeleton", [COCO, HAND], ids=["coco", "hand"])
def test_a_skeleton_survives_json(skeleton: Skeleton) -> None:
    assert Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict()))) == skeleton


def test_a_side_without_its_twin_is_named() -> None:
    names = ("nose", "left_eye", "rigth_eye", "left_hip", "right_hip")
    assert skeleton_from_names(names).without_twin == ["left_eye"]
    assert COCO.without_twin == []


def test_a_published_set_of_joints_has_its_own_constants_in_any_order() -> None:
    """Halpe's neck is 0.026, where a neck among other joints has CrowdPose's 0.079."""
    order = HALPE26.names[::-1]
    assert skeleton_from_names(order).oks_sigmas == HALPE26.oks_sigmas[::-1]
    assert known_oks_sigmas(order)[order.index("neck")] == 0.026
    assert known_oks_sigmas(order[1:])[order.index("neck") - 1] == 0.079


@pytest.mark.parametrize(
    ("known", "pairs"),
    [(WHOLEBODY, 61), (FACE, 29), (HALPE26, 11), (AP10K, 7), (CROWDPOSE, 6), (HAND21, 0)],
    ids=lambda v: str(v)[:9],
)
def test_known_joints_find_their_twins_and_constants(known: JointSet, pairs: int) -> None:
    skeleton = skeleton_from_names(known.names, known.bones)
    assert skeleton.oks_sigmas == known.oks_sigmas
    assert len(skeleton.flip_pairs) == pairs and not skeleton.without_twin and not skeleton.ambiguous_names()


def test_the_faces_twins_mirror_each_other_in_the_ibug_order() -> None:
    face = np.array(skeleton_from_names(WHOLEBODY.names).flip_permutation)[23:91] - 23
    assert face[:17].tolist() == list(range(16, -1, -1))
    assert face[[36, 39, 40, 48, 55, 60, 65]].tolist() == [45, 42, 47, 54, 59, 64, 67]
    middle = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    assert np.flatnonzero(face == np.arange(68)).tolist() == middle


def test_the_face_alone_is_that_of_the_whole_body() -> None:
    assert FACE.names == WHOLEBODY.names[23:91] and FACE.oks_sigmas == WHOLEBODY.oks_sigmas[23:91]
    # Open: jaw 16, brows 4 each, nose 3 and 4. Closed: eyes 6 each, lips 12 and 8.
    assert len(FACE.bones) == 16 + 2 * 4 + 3 + 4 + 2 * 6 + 12 + 8
    assert {end for bone in FACE.bones for end in bone} == set(range(68))


def test_given_twins_take_the_place_of_those_that_names_tell() -> None:
    names = ("snout", "kneeleft", "kneeright", "left_ear", "right_ear")
    skeleton = Skeleton(names, (), (0.1,) * 5, twins=((1, 2),))
    assert skeleton.flip_permutation == (0, 2, 1, 3, 4)
    assert skeleton.flip_pairs == [(1, 2)] and skeleton.is_left(1) and not skeleton.is_left(2)
    assert skeleton.without_twin == [] and skeleton.possible_twins == []
    assert Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict()))) == skeleton
    assert Skeleton(names, (), (0.1,) * 5, twins=()).flip_permutation == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("names", "unclear"),
    [
        (tuple("123"), ["1", "2", "3"]),
        (("nose", "oeil_g", "oeil_d"), ["oeil_g", "oeil_d"]),
        (("eyeA", "eyeB", "tail"), ["eyeA", "eyeB"]),
        (("lip", "rib", "lobe"), []),
        (("left_hip", "right_hip", "spine1", "spine2"), []),
        (HAND21.names, []),
    ],
)
def test_names_that_may_be_twins_are_noticed_where_no_pair_is_known(names: tuple[str, ...], unclear: list[str]) -> None:
    assert skeleton_from_names(names).possible_twins == unclear
