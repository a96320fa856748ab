"""On which side of the picture the joints of a pair lie, over all persons."""

from typing import NamedTuple

from rlepose.datasets.persons import PersonTable
from rlepose.pose.skeleton import Skeleton

_FEWEST = 20  # persons that say something
_NEARLY_ALL = 0.95


class PairSides(NamedTuple):
    """left, right: names of a pair's joints. persons: how many have both labelled. left_first: share of these in which
    the left joint is nearer to the picture's left border than the right joint.
    """

    left: str
    right: str
    persons: int
    left_first: float


def pair_sides(table: PersonTable, skeleton: Skeleton) -> list[PairSides]:
    """The sides of each pair that enough persons have."""
    found = []
    for pair in skeleton.flip_pairs:
        left, right = sorted(pair, key=lambda joint: not skeleton.is_left(joint))
        both = (table.visible[:, [left, right]] > 0).all(axis=1)
        if both.sum() >= _FEWEST:
            share = float((table.keypoints[both, left, 0] < table.keypoints[both, right, 0]).mean())
            found.append(PairSides(skeleton.names[left], skeleton.names[right], int(both.sum()), round(share, 4)))
    return found


def doubtful_sides(pairs: list[PairSides]) -> list[str]:
    """Sentences on pairs whose sides look wrong; none where views from the front and from behind mix."""
    from_behind = [pair for pair in pairs if pair.left_first >= _NEARLY_ALL]
    from_front = [pair for pair in pairs if pair.left_first <= 1 - _NEARLY_ALL]
    named = ", ".join(f"{pair.left} – {pair.right}" for pair in from_behind)
    if from_behind and from_front:
        others = ", ".join(f"{pair.left} – {pair.right}" for pair in from_front)
        return [
            f"{named}: left lies on the picture's left in nearly all persons, but on its right in {others}; in one of "
            "the two, left and right have changed places"
        ]
    if from_behind:
        return [
            f"{named}: left lies on the picture's left in nearly all persons, as in bodies seen from behind; if yours "
            "face the camera, the labels say the viewer's left, which other data sets and models do not"
        ]
    return []
