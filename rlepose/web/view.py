"""What the web page shows of a picture, as plain functions: the drawn poses, a table of joints, a joint's density."""

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
    """A picture, upright, and its persons, at least one."""

    pixels: Picture
    poses: PicturePoses


def look_at(predictor: Predictor, path: str | Path, boxes: str = WHOLE) -> Seen:
    """The persons of a picture file.

    boxes: WHOLE, FOUND, or numbers: x, y, width and height in px, several boxes parted by semicolons.
    Raises InputError, which names the file without its folder, for what is no picture or too large, and if nobody is
    left in it.
    """
    file = Path(path)
    try:
        frame, poses = next(predictor.stream([file], _given(boxes, file.name)))
    except InputError as error:
        raise InputError(_without_folder(str(error), file)) from error
    poses = PicturePoses(file.name, poses.size_wh, poses.persons, _problems(poses, file))
    if frame.pixels is None or not poses.persons:
        raise InputError("; ".join(poses.problems) or f"{file.name}: no person found; give their boxes")
    return Seen(frame.pixels, poses)


def _given(boxes: str, name: str) -> GivenBoxes:
    if boxes in (WHOLE, FOUND):
        return "whole" if boxes == WHOLE else "detector"
    # What of it is no number is found there.
    return {name: [box.replace(",", " ").split() for box in boxes.split(";") if box.strip()]}


def _problems(poses: PicturePoses, file: Path) -> tuple[str, ...]:
    return tuple(_without_folder(problem, file) for problem in poses.problems)


def _without_folder(sentence: str, file: Path) -> str:
    """The folder is the server's own, and means nothing to who dropped the file."""
    return sentence.replace(f"{file.parent}{os.sep}", "")


def drawn(seen: Seen, predictor: Predictor) -> Picture:
    """The picture with skeletons and ellipses, and where there are several persons with their numbers from 1.

    It is `enlargement(seen)` times as large as the picture, so that the lines leave something to be seen of small ones.
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
    """By how much a picture is enlarged to be drawn into: 1 from half of _LEAST_SIDE on."""
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
    """Each person's number in the `drawn` picture, and confidence."""
    return [
        f"{i}: {confidence_text(person)}" if person.joint_scores is not None else f"person {i}"
        for i, person in enumerate(seen.poses.persons, 1)
    ]


def joint_columns(person: PersonPose) -> list[str]:
    """The heads of `joint_rows`."""
    return ["joint", "x, px", "y, px", "σ x, px", "σ y, px", "score"] + (
        [] if person.depth is None else ["depth, mm", "σ depth, mm"]
    )


def joint_rows(person: PersonPose, names: Sequence[str]) -> list[list[str]]:
    """Name, position, standard deviation and score of each joint, and in 3-D depth with its standard deviation."""
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
    """Number of the person and of the joint, from 0, that lie nearest to a point (2,) px of the `drawn` picture.

    Pixel centres are at integers, in the drawn picture too.
    """
    point = (point + 0.5) / enlargement(seen) - 0.5
    distances = [np.linalg.norm(person.keypoints - point, axis=1) for person in seen.poses.persons]
    person = int(np.argmin([of_person.min() for of_person in distances]))
    return person, int(distances[person].argmin())


def density_note(person: PersonPose, loss: str) -> str:
    """A sentence on what the density is that a checkpoint trained with this loss has, or why it has none."""
    if person.depth is not None:
        return "A 3-D model: its poses in space are shown instead of a density over the picture."
    if person.density is None:
        return (
            f"No density to show: the loss {loss} has none around a prediction. Those of gaussian, laplace, dle and "
            "rle have."
        )
    if not issubclass(LOSSES[loss], FlowDensity):
        return (
            f"No flow in this checkpoint: the loss {loss} has a density of fixed form, of which only sigma is learned."
        )
    return "What the flow has learned, around the prediction."


def density_figure(seen: Seen, person: int, joint: int, name: str) -> "Figure | None":
    """Where a joint is, over the picture; None for a checkpoint without a density."""
    density = seen.poses.persons[person].density
    return None if density is None else joint_density_figure(seen.pixels, density, joint, name)


def in_space(person: PersonPose, predictor: Predictor) -> tuple[Picture | None, str]:
    """A 3-D model's pose from the side and from above, or None and a sentence on why not; None and "" in 2-D."""
    if person.depth is None:
        return None, ""
    try:
        return draw_in_space(person, predictor), ""
    except InputError as error:
        return None, f"This pose cannot be shown in space: {error}"
