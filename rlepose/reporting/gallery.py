"""Galleries of notable persons: labels on the left, predictions on the right."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlepose.drawing.overlays import Picture
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.validation.coco_evaluator import CocoEvaluator

WRONG_OKS = 0.5  # a pose with a lower OKS counts as a miss in all of COCO's metrics


class Gallery(NamedTuple):
    """picture: RGB (h, w, 3), None if there is nobody to show; note: the reason."""

    title: str
    picture: Picture | None
    note: str


def galleries(
    evaluator: CocoEvaluator,
    poses: Poses,
    spread: Floats,
    confidence: Floats | None,
    oks: Floats,
    count: int,
) -> list[Gallery]:
    """Return the worst, the least confident, and the most confident wrong persons.

    confidence, oks: (M,), of the M valid persons; confidence is None if all are equal. spread: (K, D), standard
    deviations in units of sigma.
    """
    chosen = {"Lowest OKS": np.argsort(oks, kind="stable")[:count]}
    if confidence is not None:
        order = np.argsort(confidence, kind="stable")
        chosen["Lowest confidence"] = order[:count]
        chosen["Highest confidence among wrong poses"] = surest_wrong(confidence, oks, count)
    rows, sheets = np.flatnonzero(poses.valid), []
    for title, persons in chosen.items():
        if not len(persons):
            sheets.append(Gallery(title, None, f"No person has an OKS below {WRONG_OKS}."))
            continue
        titles = [f"OKS {oks[person]:.2f}" for person in persons]
        if confidence is not None:
            titles = [
                f"{text}, confidence {confidence[person]:.2f}" for text, person in zip(titles, persons, strict=True)
            ]
        sheets.append(Gallery(title, evaluator.drawn(poses, spread, rows[persons], titles), ""))
    return sheets


def surest_wrong(confidence: Floats, oks: Floats, count: int) -> NDArray[np.intp]:
    """Return the persons with an OKS below WRONG_OKS, by descending confidence."""
    wrong = np.flatnonzero(oks < WRONG_OKS)
    return wrong[np.argsort(-confidence[wrong], kind="stable")[:count]]
