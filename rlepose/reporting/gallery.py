"""Galleries of notable persons: labels on the left, predictions on the right."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlepose.drawing.overlays import Picture
from rlepose.evaluation.calibration import Compared
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.validation.evaluator import Evaluator


class Gallery(NamedTuple):
    """pictures: RGB (h, w, 3), one per person; note: the reason if there are none."""

    title: str
    pictures: list[Picture]
    note: str


def galleries(
    evaluator: Evaluator[Any],
    poses: Poses,
    spread: Floats,
    compared: Compared,
    chosen: Mapping[str, NDArray[np.intp]],
    title_of: Callable[[int], str],
    nobody: str,
) -> list[Gallery]:
    """Return a gallery for each title in `chosen`, which maps titles to indices of the M valid poses.

    spread: (K, D), standard deviations in units of sigma. compared: the valid poses. title_of: title of a person's
    picture, followed by the confidence if confidences differ. nobody: note for an empty gallery.
    """
    rows, sheets = np.flatnonzero(poses.valid), []
    ranked = is_ranked(compared)
    for title, persons in chosen.items():
        titles = [title_of(person) for person in persons.tolist()]
        if ranked:
            scores = compared.confidence[persons]
            titles = [f"{text}, confidence {score:.3f}" for text, score in zip(titles, scores, strict=True)]
        pictures = evaluator.drawn(poses, spread, rows[persons], titles)
        sheets.append(Gallery(title, pictures, "" if pictures else nobody))
    return sheets


def is_ranked(compared: Compared) -> bool:
    """Return whether confidences differ."""
    return bool(np.ptp(compared.confidence) > 0)


def best(risk: Floats, count: int) -> NDArray[np.intp]:
    """Return the persons with the lowest risk (M,), in ascending order."""
    return np.argsort(risk, kind="stable")[:count]


def by_confidence(compared: Compared, wrong: NDArray[np.bool_], count: int) -> dict[str, NDArray[np.intp]]:
    """Return the least confident, and the most confident wrong persons; nobody if all confidences are equal.

    wrong: (M,).
    """
    if not is_ranked(compared):
        return {}
    return {
        "Lowest confidence": best(compared.confidence, count),
        "Highest confidence among wrong poses": surest_wrong(compared.confidence, wrong, count),
    }


def surest_wrong(confidence: Floats, wrong: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    """Return the wrong persons, by descending confidence. confidence, wrong: (M,)."""
    rows = np.flatnonzero(wrong)
    return rows[np.argsort(-confidence[rows], kind="stable")[:count]]
