"""Draw predicted poses: into the picture, and from the side and from above."""

from pathlib import Path

import numpy as np

from rlepose.drawing.overlays import Picture, draw_label, draw_pose, write_picture
from rlepose.drawing.views_in_space import scale_for, view_tile
from rlepose.errors import InputError
from rlepose.inference.poses import PersonPose, PicturePoses
from rlepose.inference.predictor import Predictor
from rlepose.inference.space import relative_mm
from rlepose.pose.skeleton import Skeleton

_SIDE = 320  # pixels of a view in space


def confidence_text(person: PersonPose) -> str:
    """Return the number that is drawn, listed in results.json and shown on the page; "" if the model has no scores."""
    return "" if person.confidence is None else f"confidence {person.confidence:.2f}"


def draw_persons(pixels: Picture, poses: PicturePoses, skeleton: Skeleton) -> Picture:
    """Draw every person's skeleton, ellipses of one standard deviation, and confidence."""
    for person in poses.persons:
        pixels = draw_pose(pixels, person.keypoints, skeleton, person.std, person.shown)
        if text := confidence_text(person):
            x, y = person.bbox_xywh[:2]
            draw_label(pixels, text, (round(x), round(y)), above=True)
    return pixels


def draw_in_space(person: PersonPose, predictor: Predictor) -> Picture:
    """Draw a person of a 3-D model from the side and from above, relative to the root: RGB (h, 2 h, 3).

    InputError for a pose that does not fit an adult of any size, see `relative_mm`.
    """
    joints, std = relative_mm(person), None
    if person.std is not None and person.depth_std is not None:
        mm_a_px = np.ptp(joints[:, :2], axis=0).max() / max(np.ptp(person.keypoints, axis=0).max(), 1e-6)
        std = np.column_stack([person.std * mm_a_px, person.depth_std])
    scale = scale_for(joints, _SIDE)
    tiles = [
        view_tile(joints, std, predictor.skeleton, view, f"from {view}", _SIDE, scale) for view in ("the side", "above")
    ]
    return np.concatenate(tiles, axis=1)


def write_in_space(path: Path, poses: PicturePoses, predictor: Predictor) -> list[str]:
    """Draw the persons of a 3-D model from the side and from above; return why some are left out."""
    tiles, problems = [], []
    for number, person in enumerate(poses.persons, 1):
        if person.depth is None:
            continue
        try:
            tiles.append(draw_in_space(person, predictor))
        except InputError as error:
            problems.append(f"{poses.name}: person {number} in 3-D: {error}")
    if tiles:
        write_picture(path, np.concatenate(tiles))
    return problems
