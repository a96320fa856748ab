"""COCO's results format and its table of ten numbers, by pycocotools."""

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.coco import CocoFile
from rlepose.geometry import Floats

COCO_METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


def pose_scores(joint_scores: Floats, box_score: Floats | None) -> Floats:
    """The number by which COCO ranks poses: mean + maximum of the joints' scores, + the detector's score.

    The original's rescoring. joint_scores (N, K), box_score (N,) or None for ground-truth boxes -> (N,).
    """
    scores = joint_scores.mean(axis=1) + joint_scores.max(axis=1)
    return scores if box_score is None else scores + box_score


def coco_results(
    keypoints: Floats, joint_scores: Floats, scores: Floats, image_ids: NDArray[np.integer], category_id: int
) -> list[dict[str, Any]]:
    """COCO results entries: keypoints (N, K, 2) px, joint_scores (N, K), scores (N,), image_ids (N,)."""
    count, joints = joint_scores.shape
    triplets = np.concatenate([keypoints, joint_scores[..., None]], axis=-1).reshape(count, 3 * joints).round(4)
    return [
        {"image_id": int(image), "category_id": category_id, "keypoints": flat.tolist(), "score": float(score)}
        for image, flat, score in zip(image_ids, triplets, scores, strict=True)
    ]


def write_json(path: Path, tree: Any) -> None:
    """Write JSON; NaN and infinity, which JSON does not have, are an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, allow_nan=False), encoding="utf-8")


def evaluate_coco(coco: CocoFile, results: list[dict[str, Any]], oks_sigmas: tuple[float, ...]) -> dict[str, Any]:
    """COCO's keypoint table over all pictures of the file, values in [0, 1].

    A value is None where the file has nothing to measure it on (no person of that size). No results: all 0.
    """
    # pycocotools imports matplotlib, which takes half a second
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        truth = COCO()
        truth.dataset = {
            "info": {},  # pycocotools before 2.0.11 wants it
            "images": coco.images,
            "annotations": [_complete(a, coco.num_keypoints) for a in coco.annotations],
            "categories": [coco.category],
        }
        truth.createIndex()
        # loadRes writes into what it is given, and fails on an empty list.
        found = truth.loadRes([dict(result) for result in results]) if results else COCO()
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(oks_sigmas)
        evaluation.params.imgIds = sorted(image["id"] for image in coco.images)
        evaluation.params.catIds = [coco.category["id"]]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # pycocotools writes −1 where there is nothing to measure
    return {
        name: float(value) if value > -1 else None for name, value in zip(COCO_METRICS, evaluation.stats, strict=True)
    }


def _complete(annotation: dict[str, Any], num_keypoints: int) -> dict[str, Any]:
    """The annotation with what COCO's evaluation needs and other tools often leave out."""
    keypoints = annotation.get("keypoints") or [0] * 3 * num_keypoints
    box = annotation.get("bbox") or [0, 0, 0, 0]
    return {
        **annotation,
        "iscrowd": annotation.get("iscrowd") or 0,
        "area": annotation_area(annotation),
        "num_keypoints": sum(v > 0 for v in keypoints[2::3]),
        "keypoints": keypoints,
        "bbox": box,
    }


def annotation_area(annotation: Mapping[str, Any]) -> float:
    """px², that of the segment or, where the file has none, of the box."""
    area = annotation.get("area")
    if area is not None:
        return float(area)
    _, _, width, height = annotation.get("bbox") or [0, 0, 0, 0]
    return float(width * height)
