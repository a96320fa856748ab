"""Categories of one file with different joints, trained with one head that predicts the union of their joints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.pose.skeleton import known_oks_sigmas

Category = Mapping[str, Any]


@dataclass(frozen=True)
class CategoryGroup:
    """Categories with the same joints.

    name: for messages. category_ids: results use the first. category_names: of each of these. joints: for each joint of
    the group, in the file's order, its index in the head's output.
    """

    name: str
    category_ids: tuple[int, ...]
    category_names: tuple[str, ...]
    joints: tuple[int, ...]

    def rows(self, category_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which persons belong to this group: categories (N,) -> (N,)."""
        return np.isin(category_ids, self.category_ids)


def category_groups_of(categories: Sequence[Category]) -> list[CategoryGroup]:
    """Group category entries by their joints, in order of appearance. Joints with the same name are the same joint."""
    union = union_of_joints(categories)
    alike: dict[tuple[str, ...], list[Category]] = {}
    for category in categories:
        alike.setdefault(tuple(category["keypoints"]), []).append(category)
    return [
        CategoryGroup(
            name=str(members[0].get("name")) + (f" + {len(members) - 1}" if len(members) > 1 else ""),
            category_ids=tuple(member["id"] for member in members),
            category_names=tuple(str(member.get("name")) for member in members),
            joints=tuple(map(union.index, names)),
        )
        for names, members in alike.items()
    ]


def union_of_joints(categories: Sequence[Category]) -> list[str]:
    """Return the names of all joints, in order of appearance."""
    return list(dict.fromkeys(name for category in categories for name in category["keypoints"]))


def united(categories: Sequence[Category]) -> dict[str, Any]:
    """Return one category entry for all: the union of their joints and bones, and the entries in `members`."""
    union = union_of_joints(categories)
    bones = {
        tuple(union.index(category["keypoints"][end - 1]) + 1 for end in bone): None
        for category in categories
        for bone in category.get("skeleton") or []
    }
    members = [{key: category.get(key) for key in ("id", "name", "keypoints")} for category in categories]
    return dict(categories[0]) | {"keypoints": union, "skeleton": [list(bone) for bone in bones], "members": members}


def spread(keypoints: Sequence[float], joints: Sequence[int], count: int) -> list[float]:
    """Place a person's joints (x, y, visibility each) among the `count` joints of the head; others are unlabelled."""
    everywhere = [0.0] * 3 * count
    for own, joint in enumerate(joints):
        everywhere[3 * joint : 3 * joint + 3] = keypoints[3 * own : 3 * own + 3]
    return everywhere


def category_oks_sigmas(category: Category) -> list[float | None]:
    """Return the built-in OKS constants of a category entry, None for joints without one.

    The constants of a united entry are looked up category by category; a shared joint gets the first
    category's.
    """
    constants: dict[str, float | None] = {}
    for member in category.get("members") or [category]:
        for name, sigma in zip(member["keypoints"], known_oks_sigmas(member["keypoints"]), strict=True):
            constants.setdefault(name, sigma)
    return [constants[name] for name in category["keypoints"]]


def own_joints(groups: Sequence[CategoryGroup], category_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of the head's joints belong to each person's category: (N,) -> (N, K)."""
    own = np.zeros((len(category_ids), len({joint for group in groups for joint in group.joints})), np.bool_)
    for group in groups:
        own[np.ix_(group.rows(category_ids), np.array(group.joints))] = True
    return own
