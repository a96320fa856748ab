"""From which score on a joint is shown."""

from collections.abc import Mapping

import numpy as np

from rlepose.errors import InputError
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton

OTHERS = "*"  # every joint that is not named

CutOff = float | Mapping[str, float]


def cut_off(min_score: CutOff, skeleton: Skeleton, gives_scores: bool) -> Floats:
    """The least score of each joint, (K,).

    min_score: one for all joints, or by their names, with '*' for all others; 0 where nothing is said. gives_scores:
    whether the model has scores at all. InputError for what is no number in 0 … 1, for unknown joints, and where the
    model has no scores.
    """
    by_name = min_score if isinstance(min_score, Mapping) else {OTHERS: min_score}
    for name, score in by_name.items():
        if name != OTHERS and name not in skeleton.names:
            raise InputError(f"min_score: there is no joint {name!r}; the joints are {', '.join(skeleton.names)}")
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            raise InputError(
                f"min_score: expected a number from 0 to 1, got {score!r}; docs/predict.md says which to take"
            )
    least = np.array([by_name.get(name, by_name.get(OTHERS, 0.0)) for name in skeleton.names], float)
    if least.any() and not gives_scores:
        raise InputError(
            "min_score: this model's loss learns no sigma, so that it has no scores to cut at; leave it out"
        )
    return least
