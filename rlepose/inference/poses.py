"""Output of the Predictor: persons with joints, the uncertainty of each joint, and densities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.evaluation.results import coco_results
from rlepose.losses.pose_density import PoseDensity
from rlepose.pose.geometry import Floats


@dataclass(frozen=True, eq=False)
class PersonPose:
    """One person.

    bbox_xywh     (4,)    px, the box, clipped at the picture's border
    keypoints     (K, 2)  px
    std           (K, 2)  px, standard deviation, recalibrated if the checkpoint is; None if the loss learns none
    joint_scores  (K,)    in [0, 1]; all 1 if the model has neither sigma nor heatmaps
    score                 by which COCO ranks poses: the detector's score of the box, if there is one, plus the mean and
                          the maximum of the joint scores
    density               None if std is None, in 3-D, and for the loss `basic`, which has none around a prediction
    depth         (K,)    3-D: mm behind the root; inference/space.py converts to joints in 3-D. None in 2-D
    depth_std     (K,)    3-D: mm, standard deviation of depth
    """

    bbox_xywh: Floats
    keypoints: Floats
    std: Floats | None
    joint_scores: Floats
    score: float
    density: PoseDensity | None
    depth: Floats | None = None
    depth_std: Floats | None = None


@dataclass(frozen=True, eq=False)
class PicturePoses:
    """The persons of one picture, upright. problems: one sentence for each thing omitted, with the reason."""

    name: str
    size_wh: tuple[int, int]
    persons: tuple[PersonPose, ...]
    problems: tuple[str, ...]


def coco_entries(
    pictures: Sequence[PicturePoses], image_ids: Sequence[int], category_id: int = 1
) -> list[dict[str, Any]]:
    """Return all persons in COCO's results format, as plain types for JSON.

    Extra keys, which COCO's tools ignore: `file_name`, `std` (2 K numbers, px, or null), `box` (x, y, width, height,
    px; not `bbox`, because a result with that key counts as a box) and, in 3-D, `depth` and `depth_std` (K numbers, mm;
    depth_std may be null).
    """
    persons = [
        (image_id, picture, p) for image_id, picture in zip(image_ids, pictures, strict=True) for p in picture.persons
    ]
    if not persons:
        return []
    results = coco_results(
        np.stack([person.keypoints for _, _, person in persons]),
        np.stack([person.joint_scores for _, _, person in persons]),
        np.array([person.score for _, _, person in persons]),
        np.array([image_id for image_id, _, _ in persons]),
        category_id,
    )
    return [
        entry
        | {
            "keypoints": entry["keypoints"].tolist(),
            "file_name": picture.name,
            "box": _rounded(person.bbox_xywh),
            "std": None if person.std is None else _rounded(person.std.ravel()),
        }
        | ({} if person.depth is None else {"depth": _rounded(person.depth), "depth_std": _depth_std(person)})
        for entry, (_, picture, person) in zip(results.entries(), persons, strict=True)
    ]


def _rounded(values: NDArray[Any]) -> list[float]:
    return [round(float(value), 4) for value in values]


def _depth_std(person: PersonPose) -> list[float] | None:
    return None if person.depth_std is None else _rounded(person.depth_std)
