"""Content of the web page for a picture, as plain functions: drawn poses, a table of joints, a joint's density."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from rlepose.drawing.overlays import Picture, draw_label
from rlepose.drawing.plots import joint_density_figure
from rlepose.errors import InputError
from rlepose.inference import PersonPose, PicturePoses, Predictor
from rlepose.inference.boxes import GivenBoxes
from rlepose.jobs.pose_pictures import confidence_text, draw_in_space, draw_persons
from rlepose.losses import LOSSES
from rlepose.losses.likelihood import FlowDensity
from rlepose.pose.geometry import Floats

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.figure import Figure

_LEAST_SIDE = 800  # px

WHOLE, FOUND = "whole picture", "persons that the detector finds"


class Seen(NamedTuple):
    """An upright picture with at least one person."""

    pixels: Picture
    poses: PicturePoses


def look_at(predictor: Predictor, path: str | Path, boxes: str = WHOLE) -> Seen:
    """Find the persons in a picture file.

    boxes: WHOLE, FOUND, or numbers: x, y, width and height in px, several boxes separated by semicolons.
    Raises InputError, with the file's name but not its folder, for an unreadable or too large picture, and if no person
    is found.
    """
    file = Path(path)
    try:
        frame, poses = next(predictor.stream([file], _given(boxes, file.name)))
    except InputError as error:
        raise InputError(_without_folder(str(error), file)) from error
    poses = PicturePoses(file.name, poses.size_wh, poses.persons, _problems(poses, file))
    if frame.pixels is None or not poses.persons:
        raise InputError("; ".join(poses.problems) or f"{file.name}: no person found; enter boxes")
    return Seen(frame.pixels, poses)


def _given(boxes: str, name: str) -> GivenBoxes:
    if boxes in (WHOLE, FOUND):
        return "whole" if boxes == WHOLE else "detector"
    # The predictor reports text that is not a number.
    return {name: [box.replace(",", " ").split() for box in boxes.split(";") if box.strip()]}


def _problems(poses: PicturePoses, file: Path) -> tuple[str, ...]:
    return tuple(_without_folder(problem, file) for problem in poses.problems)


def _without_folder(sentence: str, file: Path) -> str:
    """Remove the folder, which is the server's own and means nothing to the user."""
    return sentence.replace(f"{file.parent}{os.sep}", "")


def drawn(seen: Seen, predictor: Predictor) -> Picture:
    """Draw skeletons and ellipses into the picture and, if there are several persons, their numbers from 1.

    The result is `enlargement(seen)` times as large as the picture, so that lines do not hide small pictures.
    """
    factor = enlargement(seen)
    pixels = cv2.resize(seen.pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    persons = tuple(_enlarged(person, factor) for person in seen.poses.persons)
    picture = draw_persons(np.asarray(pixels, np.uint8), replace(seen.poses, persons=persons), predictor.skeleton)
    if len(persons) > 1:
        for number, person in enumerate(persons, 1):
            x, y = person.bbox_xywh[:2]
            draw_label(picture, f"person {number}", (round(x), round(y)))
    return picture


def enlargement(seen: Seen) -> int:
    """Return the factor by which a picture is enlarged for drawing: 1 from half of _LEAST_SIDE on."""
    return max(1, _LEAST_SIDE // max(seen.pixels.shape[:2]))


def _enlarged(person: PersonPose, factor: int) -> PersonPose:
    middle = (factor - 1) / 2  # pixel centres are at integers
    return replace(
        person,
        bbox_xywh=person.bbox_xywh * factor,
        keypoints=person.keypoints * factor + middle,
        std=None if person.std is None else person.std * factor,
    )


def person_titles(seen: Seen) -> list[str]:
    """Return the number of each person in the `drawn` picture, with the confidence if the model has scores."""
    return [
        f"{i}: {confidence_text(person)}" if person.joint_scores is not None else f"person {i}"
        for i, person in enumerate(seen.poses.persons, 1)
    ]


def joint_columns(person: PersonPose) -> list[str]:
    """Return the column headers of `joint_rows`."""
    return ["joint", "x, px", "y, px", "σ x, px", "σ y, px", "score"] + (
        [] if person.depth is None else ["depth, mm", "σ depth, mm"]
    )


def joint_rows(person: PersonPose, names: Sequence[str]) -> list[list[str]]:
    """Return name, position, standard deviation and score of each joint and, in 3-D, depth with its deviation."""
    std = np.full_like(person.keypoints, np.nan) if person.std is None else person.std
    scores = np.full(len(std), np.nan) if person.joint_scores is None else person.joint_scores
    numbers = [*person.keypoints.T, *std.T, scores]
    if person.depth is not None:
        numbers += [
            person.depth,
            np.full_like(person.depth, np.nan) if person.depth_std is None else person.depth_std,
        ]
    digits = [1, 1, 1, 1, 3, 0, 0]
    columns = [[_text(value, places) for value in column] for column, places in zip(numbers, digits, strict=False)]
    return [list(row) for row in zip(names, *columns, strict=True)]


def _text(value: float, places: int) -> str:
    return "–" if np.isnan(value) else f"{value:.{places}f}"


def nearest_joint(seen: Seen, point: Floats) -> tuple[int, int]:
    """Return the indices of the person and the joint closest to a point (2,) px of the `drawn` picture.

    Pixel centres are at integers, also in the drawn picture.
    """
    point = (point + 0.5) / enlargement(seen) - 0.5
    distances = [np.linalg.norm(person.keypoints - point, axis=1) for person in seen.poses.persons]
    person = int(np.argmin([of_person.min() for of_person in distances]))
    return person, int(distances[person].argmin())


def density_note(person: PersonPose, loss: str) -> str:
    """Describe the density of a checkpoint trained with this loss, or why there is none."""
    if person.depth is not None:
        return "A 3-D model: shows 3-D poses instead of a density over the image."
    if person.density is None:
        return (
            f"No density to show: the loss {loss} has none around a prediction, unlike gaussian, laplace, dle and rle."
        )
    if not issubclass(LOSSES[loss], FlowDensity):
        return f"No flow in this checkpoint: the loss {loss} has a density of fixed form and only learns sigma."
    return "The density that the flow has learned, around the prediction."


def density_figure(seen: Seen, person: int, joint: int, name: str) -> "Figure | None":
    """Plot the density of a joint over the picture; None for a checkpoint without a density."""
    density = seen.poses.persons[person].density
    return None if density is None else joint_density_figure(seen.pixels, density, joint, name)


def in_space(person: PersonPose, predictor: Predictor) -> tuple[Picture | None, str]:
    """Draw a 3-D pose from the side and from above, or return None and the reason; None and "" in 2-D."""
    if person.depth is None:
        return None, ""
    try:
        return draw_in_space(person, predictor), ""
    except InputError as error:
        return None, f"This pose cannot be shown in 3-D: {error}"
