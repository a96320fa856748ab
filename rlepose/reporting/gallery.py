"""Persons worth looking at: labels on the left, prediction on the right."""

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
    """pictures: RGB (h, w, 3), one a person; note: where there are none, why."""

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
    """A gallery for each of the titles of `chosen`, which maps to persons: numbers of the M valid poses.

    spread: (K, D), standard deviations in units of sigma. compared: the valid poses. title_of: what to write on a
    person's picture, before the score that is added where poses differ in it. nobody: the note where nobody is chosen.
    """
    rows, sheets = np.flatnonzero(poses.valid), []
    ranked = is_ranked(compared)
    for title, persons in chosen.items():
        titles = [title_of(person) for person in persons.tolist()]
        if ranked:
            scores = compared.confidence[persons]
            titles = [f"{text}, score {score:.3f}" for text, score in zip(titles, scores, strict=True)]
        pictures = evaluator.drawn(poses, spread, rows[persons], titles)
        sheets.append(Gallery(title, pictures, "" if pictures else nobody))
    return sheets


def is_ranked(compared: Compared) -> bool:
    """Whether some poses are surer than others."""
    return bool(np.ptp(compared.confidence) > 0)


def best(risk: Floats, count: int) -> NDArray[np.intp]:
    """The persons with the lowest risk (M,), the best first."""
    return np.argsort(risk, kind="stable")[:count]


def by_confidence(compared: Compared, wrong: NDArray[np.bool_], count: int) -> dict[str, NDArray[np.intp]]:
    """The most unsure persons, and the surest of the wrong (M,); neither where all are equally sure."""
    if not is_ranked(compared):
        return {}
    return {
        "The most unsure": best(compared.confidence, count),
        "The surest of the wrong": surest_wrong(compared.confidence, wrong, count),
    }


def surest_wrong(confidence: Floats, wrong: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    """The wrong ones, of falling confidence; both (M,)."""
    rows = np.flatnonzero(wrong)
    return rows[np.argsort(-confidence[rows], kind="stable")[:count]]
