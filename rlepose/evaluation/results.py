"""COCO's results format: predicted poses as arrays, and as the JSON file for COCO's server."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from rlepose.errors import InputError
from rlepose.pose.geometry import Floats

_DECIMALS = 4


@dataclass(frozen=True)
class CocoResults:
    """N poses in any order.

    image_ids (N,)       ids of the pictures
    joints    (N, K, 3)  x and y in px, and the score of the joint
    scores    (N,)       by which COCO ranks poses
    area      (N,)       px²; an unmatched pose counts as false among persons of this size
    """

    image_ids: NDArray[np.int64]
    joints: NDArray[np.float64]
    scores: NDArray[np.float64]
    area: NDArray[np.float64]
    category_id: int

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, poses: NDArray[Any]) -> "CocoResults":
        """Select poses by a bool mask (N,) or indices."""
        return CocoResults(
            self.image_ids[poses], self.joints[poses], self.scores[poses], self.area[poses], self.category_id
        )

    def with_joints(self, joints: Sequence[int]) -> "CocoResults":
        """Return the poses with only these joints, in this order; scores and areas still refer to the whole poses."""
        return replace(self, joints=self.joints.take(joints, axis=1))

    def entries(self) -> list[dict[str, Any]]:
        """Return COCO's entries, except that `keypoints` are rows (3 K,) of an array."""
        keypoints = self.joints.reshape(len(self), 3 * self.joints.shape[1])
        rows = zip(self.image_ids.tolist(), keypoints, self.scores.tolist(), strict=True)
        return [
            {"image_id": image, "category_id": self.category_id, "keypoints": flat, "score": score}
            for image, flat, score in rows
        ]


def coco_results(
    keypoints: Floats,
    joint_scores: Floats,
    scores: Floats,
    image_ids: NDArray[np.integer],
    category_id: int,
    area_joints: Sequence[int] | None = None,
) -> CocoResults:
    """Build results from keypoints (N, K, 2) px, joint_scores (N, K), scores (N,) and image_ids (N,).

    area_joints: joints whose bounding box is the area of a pose, None for all. Joints are rounded to 4 decimals here,
    so that the file contains what was evaluated. InputError for NaN and infinity.
    """
    joints = np.concatenate([keypoints, joint_scores[..., None]], axis=-1, dtype=np.float64)
    refuse_nonfinite(joints, scores)
    np.round(joints, _DECIMALS, out=joints)
    bounding = joints if area_joints is None else joints.take(area_joints, axis=1)
    area = np.ptp(bounding[..., 0], axis=1) * np.ptp(bounding[..., 1], axis=1)
    return CocoResults(np.asarray(image_ids, np.int64), joints, np.asarray(scores, np.float64), area, category_id)


def refuse_nonfinite(*predicted: Floats) -> None:
    """Raise InputError for predictions of NaN and infinity."""
    if not all(np.isfinite(values).all() for values in predicted):
        raise InputError("the model predicts NaN or infinity, so its training has diverged; use another checkpoint")


def pose_scores(joint_scores: Floats, box_score: Floats | None) -> Floats:
    """Return the scores by which COCO ranks poses: mean + maximum of the joint scores, + the detector's score.

    The authors' rescoring. joint_scores: (N, K). box_score: (N,), or None for ground-truth boxes. -> (N,).
    """
    scores = joint_scores.mean(axis=1) + joint_scores.max(axis=1)
    return scores if box_score is None else scores + box_score


def write_results(path: Path, *results: CocoResults) -> None:
    """Write the file for COCO's server, with the poses of all `results`."""
    entries = [entry for part in results for entry in part.entries()]
    write_whole(path, orjson.dumps(entries, option=orjson.OPT_SERIALIZE_NUMPY))


def write_json(path: Path, tree: Any) -> None:
    """Write JSON; NaN and infinity, which JSON lacks (and orjson writes as null), are an error."""
    write_whole(path, json.dumps(tree, allow_nan=False).encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically, and create its folder: a killed process or a full disk leaves no incomplete file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
