"""Output of the Predictor: persons with joints, the uncertainty of each joint, and densities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.box_reader import PERSON
from rlepose.evaluation.results import coco_results
from rlepose.losses.pose_density import PoseDensity
from rlepose.pose.geometry import Floats


@dataclass(frozen=True, eq=False)
class PersonPose:
    """One person.

    bbox_xywh     (4,)    px, the box, clipped at the picture's border
    keypoints     (K, 2)  px
    std           (K, 2)  px, standard deviation, recalibrated if the checkpoint is; None if the loss learns none
    joint_scores  (K,)    in [0, 1]; None if the model has neither a learned sigma nor heatmaps
    confidence            the mean of the joint scores, in [0, 1]; None without them
    score                 by which COCO ranks poses: the detector's score of the box, if there is one, plus the mean and
                          the maximum of the joint scores, which count as 1 if there are none
    density               None if std is None, in 3-D, and for the loss `basic`, which has none around a prediction
    depth         (K,)    3-D: mm behind the root; inference/space.py converts to joints in 3-D. None in 2-D
    depth_std     (K,)    3-D: mm, standard deviation of depth
    shown         (K,)    bool, which joints reach the Predictor's min_score; None for all
    category_id           the one of the given boxes, else COCO's of people, 1
    """

    bbox_xywh: Floats
    keypoints: Floats
    std: Floats | None
    joint_scores: Floats | None
    score: float
    density: PoseDensity | None
    depth: Floats | None = None
    depth_std: Floats | None = None
    shown: NDArray[np.bool_] | None = None
    category_id: int = 1

    @property
    def confidence(self) -> float | None:
        return None if self.joint_scores is None else float(self.joint_scores.mean())

    @property
    def coco_joint_scores(self) -> Floats:
        """(K,), 1 where there are none, since COCO's results have a number there."""
        return np.ones(len(self.keypoints)) if self.joint_scores is None else self.joint_scores


@dataclass(frozen=True, eq=False)
class PicturePoses:
    """The persons of one picture, upright. problems: one sentence for each thing omitted, with the reason."""

    name: str
    size_wh: tuple[int, int]
    persons: tuple[PersonPose, ...]
    problems: tuple[str, ...]


def coco_entries(pictures: Sequence[PicturePoses], image_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return all persons in COCO's results format, each of its own category, as plain types for JSON.

    Extra keys, which COCO's tools ignore: `file_name`, `confidence` (or null), `std` (2 K numbers, px, or null), `box`
    (x, y, width, height, px; not `bbox`, because a result with that key counts as a box) and, in 3-D, `depth` and
    `depth_std` (K numbers, mm; depth_std may be null).
    """
    persons = [
        (image_id, picture, p) for image_id, picture in zip(image_ids, pictures, strict=True) for p in picture.persons
    ]
    if not persons:
        return []
    results = coco_results(
        np.stack([person.keypoints for _, _, person in persons]),
        np.stack([person.coco_joint_scores for _, _, person in persons]),
        np.array([person.score for _, _, person in persons]),
        np.array([image_id for image_id, _, _ in persons]),
        PERSON,
    )
    return [
        entry
        | {
            "category_id": person.category_id,
            "keypoints": entry["keypoints"].tolist(),
            "file_name": picture.name,
            "confidence": None if person.confidence is None else round(person.confidence, 4),
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
