"""Factors of the loss by joint and by category: the options `loss.joint_weights` and `loss.category_weights`."""

import difflib
from collections.abc import Mapping

import numpy as np

from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton


def joint_factors(weights: Mapping[str, float] | None, skeleton: Skeleton) -> Floats:
    """Return (K,) the factor of each joint: its weight, or 1.

    weights: by joint name, in any spelling. InputError for an unknown joint, and if no joint is left to be trained.
    """
    factors = np.ones(len(skeleton))
    for name, weight in (weights or {}).items():
        factors[skeleton.joint(name, "loss.joint_weights")] = weight
    if not factors.any():
        raise InputError(
            f"loss.joint_weights: all {len(factors)} joints have the weight 0, so nothing is trained; raise one"
        )
    return factors


def category_factors(weights: Mapping[str, float] | None, table: PersonTable) -> Floats:
    """Return (N,) the factor of each person's labels: the weight of the category, or 1.

    weights: by name of a category. InputError for a category that the table has not, and if all persons have factor 0.
    """
    factors = np.ones(len(table))
    names = list(dict.fromkeys(table.category_names.values()))
    for name, weight in (weights or {}).items():
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=3, cutoff=0)
            raise InputError(
                f"loss.category_weights: no category {name} among those that data.category selects; the nearest names "
                f"are {', '.join(nearest)}"
            )
        ids = [identity for identity, known in table.category_names.items() if known == name]
        factors[np.isin(table.category_ids, ids)] = weight
    if len(factors) and not factors.any():
        raise InputError(
            f"loss.category_weights: all {len(factors)} persons have the weight 0, so nothing is trained; raise one"
        )
    return factors
