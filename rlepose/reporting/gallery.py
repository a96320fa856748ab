"""Persons worth looking at: labels on the left, prediction on the right."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlepose.drawing.overlays import Picture
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.validation.coco_evaluator import CocoEvaluator

WRONG_OKS = 0.5  # below it a pose counts as found in none of COCO's figures


class Gallery(NamedTuple):
    """picture: RGB (h, w, 3), None where there is nobody to show; note: then why."""

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
    """The worst, the most unsure, and the surest of the wrong; confidence and oks (M,) of the M valid persons.

    spread: (K, D), standard deviations in units of sigma.
    confidence: None where all are equal, so that nobody is surer than others.
    """
    chosen = {"The worst": np.argsort(oks, kind="stable")[:count]}
    if confidence is not None:
        order = np.argsort(confidence, kind="stable")
        chosen["The most unsure"] = order[:count]
        chosen["The surest of the wrong"] = surest_wrong(confidence, oks, count)
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
    """The persons with an OKS below WRONG_OKS, of falling confidence."""
    wrong = np.flatnonzero(oks < WRONG_OKS)
    return wrong[np.argsort(-confidence[wrong], kind="stable")[:count]]
