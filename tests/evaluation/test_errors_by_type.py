"""Kinds of mistakes: each alone is known for what it is, and correcting all leaves none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.evaluation.errors_by_type import ERROR_TYPES, UNLABELLED, ErrorType, corrected, count_types, error_types
from rlepose.evaluation.keypoint_ap import keypoint_ap
from rlepose.evaluation.oks import joint_similarity
from rlepose.evaluation.results import coco_results
from rlepose.evaluation.truth import CocoTruth
from rlepose.pose.skeleton import COCO

SIGMAS, FLIP = np.array(COCO.oks_sigmas), list(COCO.flip_permutation)
PERSONS, PICTURES = 40, 15


class Persons:
    """Persons whose joints are far from one another, some without label, in pictures of several."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.image_index = rng.integers(0, PICTURES, PERSONS)
        # On a grid: no joint is near another one's label.
        cells = np.stack([rng.permutation(17 * PERSONS) for _ in range(2)], axis=1).reshape(PERSONS, 17, 2)
        self.truth = cells * 100.0
        self.visible = rng.integers(0, 3, (PERSONS, 17))
        self.visible[:, 0] = 2
        self.areas = rng.uniform(20, 80, PERSONS) ** 2

    def types(self, keypoints: NDArray[np.floating]) -> NDArray[np.int8]:
        return error_types(keypoints, self.truth, self.visible, self.areas, self.image_index, SIGMAS, tuple(FLIP))

    def neighbour(self) -> NDArray[np.intp]:
        """Another person of the same picture, or -1."""
        same = (self.image_index[:, None] == self.image_index) & ~np.eye(PERSONS, dtype=bool)
        return np.where(same.any(axis=1), same.argmax(axis=1), -1)

    def at_similarity(self, similarity: float) -> NDArray[np.floating]:
        reach = np.sqrt(-2 * np.log(similarity) * self.areas)[:, None] * 2 * SIGMAS
        return self.truth + np.stack([reach, np.zeros_like(reach)], axis=-1)


@pytest.fixture
def persons() -> Persons:
    return Persons()


def expect(types: NDArray[np.int8], labelled: NDArray[np.bool_], expected: ErrorType) -> None:
    assert labelled.any()
    assert (types[labelled] == ERROR_TYPES.index(expected)).all()


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [(1.0, "good"), (0.851, "good"), (0.849, "jitter"), (0.501, "jitter"), (0.499, "miss"), (1e-9, "miss")],
)
def test_the_own_label_tells_good_jitter_and_miss(persons: Persons, similarity: float, expected: ErrorType) -> None:
    expect(persons.types(persons.at_similarity(similarity)), persons.visible > 0, expected)


def test_a_mirrored_pose_is_inverted_where_the_twin_is_labelled(persons: Persons) -> None:
    types = persons.types(persons.truth[:, FLIP])
    labelled, twin_labelled = persons.visible > 0, (persons.visible > 0)[:, FLIP]
    paired = np.arange(17) != FLIP
    expect(types, labelled & twin_labelled & paired, "inversion")
    expect(types, labelled & ~paired, "good")
    expect(types, labelled & ~twin_labelled & paired, "miss")


@pytest.mark.parametrize("joints", [list(range(17)), FLIP], ids=["same joint", "twin"])
def test_another_persons_pose_is_swapped(persons: Persons, joints: list[int]) -> None:
    other = persons.neighbour()
    types = persons.types(persons.truth[other][:, joints])
    labelled = (persons.visible > 0) & (persons.visible[other][:, joints] > 0)
    expect(types, labelled & (other >= 0)[:, None], "swap")


def test_a_person_of_another_picture_is_not_swapped_with(persons: Persons) -> None:
    persons.image_index = np.arange(PERSONS)
    expect(persons.types(np.roll(persons.truth, 1, axis=0)), persons.visible > 0, "miss")


def test_the_own_label_comes_before_one_that_is_nearer(persons: Persons) -> None:
    keypoints = persons.at_similarity(0.6)
    left = [joint for joint in range(17) if COCO.is_left(joint)]
    right = [FLIP[joint] for joint in left]
    persons.truth[:, right] = keypoints[:, left]
    expect(persons.types(keypoints)[:, left], persons.visible[:, left] > 0, "jitter")


def test_counts_add_up_to_the_labels(persons: Persons) -> None:
    types = persons.types(np.random.default_rng(1).permutation(persons.truth.reshape(-1, 2)).reshape(PERSONS, 17, 2))
    assert (types == UNLABELLED).sum() == (persons.visible == 0).sum()
    np.testing.assert_array_equal(count_types(types).sum(axis=1), (persons.visible > 0).sum(axis=0))


def mixture(persons: Persons) -> NDArray[np.floating]:
    """Each joint good, jittered, inverted, swapped or missed at random."""
    rng = np.random.default_rng(2)
    kinds = [persons.truth, persons.at_similarity(0.6), persons.truth[:, FLIP], persons.truth[persons.neighbour()]]
    kinds.append(persons.truth - 40)
    return np.choose(rng.integers(0, 5, (PERSONS, 17, 1)), kinds)


def slow_types(persons: Persons, keypoints: NDArray[np.floating]) -> NDArray[np.int8]:
    """The definition, joint by joint."""
    labelled = persons.visible > 0
    types = np.full((PERSONS, 17), UNLABELLED, np.int8)

    def similarity(person: int, joint: int, other: int, label: int) -> float:
        if not labelled[other, label]:
            return 0.0
        return joint_similarity(
            keypoints[person, joint][None, None],
            persons.truth[other, label][None, None],
            persons.areas[[other]],
            SIGMAS[joint],
        ).item()

    for person, joint in np.argwhere(labelled):
        own = similarity(person, joint, person, joint)
        inverted = similarity(person, joint, person, FLIP[joint]) if FLIP[joint] != joint else 0.0
        swapped = max(
            (
                similarity(person, joint, other, label)
                for other in np.flatnonzero(persons.image_index == persons.image_index[person])
                if other != person
                for label in (joint, FLIP[joint])
            ),
            default=0.0,
        )
        near = "inversion" if inverted >= swapped else "swap"
        kind = "good" if own >= 0.85 else "jitter" if own >= 0.5 else near if max(inverted, swapped) >= 0.5 else "miss"
        types[person, joint] = ERROR_TYPES.index(kind)
    return types


@pytest.mark.parametrize("spacing", [1.0, 0.002], ids=["joints far apart", "joints near one another"])
def test_the_arrays_give_what_the_definition_gives(persons: Persons, spacing: float) -> None:
    persons.truth *= spacing
    types = persons.types(mixture(persons))
    assert set(np.unique(types)) == {UNLABELLED, 0, 1, 2, 3, 4}
    np.testing.assert_array_equal(types, slow_types(persons, mixture(persons)))


def ap(persons: Persons, keypoints: NDArray[np.floating]) -> float:
    order = np.argsort(persons.image_index, kind="stable")
    truth = CocoTruth(
        np.arange(PICTURES),
        persons.image_index[order],
        persons.truth[order],
        persons.visible[order] > 0,
        np.zeros((PERSONS, 4)),
        persons.areas[order],
        np.zeros(PERSONS, bool),
    )
    scores = np.random.default_rng(3).uniform(size=(PERSONS, 17))
    return float(keypoint_ap(truth, coco_results(keypoints, scores, scores[:, 0], persons.image_index, 1), SIGMAS)[0])


def test_correcting_one_type_costs_no_other_and_all_together_give_perfect_poses(persons: Persons) -> None:
    keypoints = mixture(persons)
    types = persons.types(keypoints)
    before = ap(persons, keypoints)
    for mistake in ERROR_TYPES[1:]:
        better = corrected(keypoints, persons.truth, types, mistake)
        expected = count_types(types)
        expected[:, 0] += expected[:, ERROR_TYPES.index(mistake)]
        expected[:, ERROR_TYPES.index(mistake)] = 0
        np.testing.assert_array_equal(count_types(persons.types(better)), expected)
        assert ap(persons, better) > before
    assert ap(persons, corrected(keypoints, persons.truth, types, *ERROR_TYPES[1:])) == pytest.approx(1)
