"""Synthetic inputs of COCO's size, equal on both sides since they follow from a seed. Needs NumPy only."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

JOINTS = 17
INPUT_SIZE_HW = (256, 192)
PADDING = 1.25
PICTURE_WH = (640, 480)
# COCO val2017: 5,000 pictures, 6,352 persons with keypoints, 104,125 boxes of the usual person detector.
TRUTHS_A_PICTURE, BOXES_A_PICTURE = 6352 / 5000, 104125 / 5000
# COCO train2017: persons with keypoints, and the pictures that they are in.
TRAIN_PERSONS, TRAIN_PICTURES = 149_813, 56_599

Array = NDArray[Any]


@dataclass(frozen=True)
class Detections:
    """What a network predicts for detected boxes: N poses.

    image_ids (N,), bbox_xywh (N, 4) px, box_score (N,), mu and sigma (N, K, 2) in network units.
    """

    image_ids: Array
    bbox_xywh: Array
    box_score: Array
    mu: Array
    sigma: Array

    def crops(self) -> tuple[Array, Array]:
        """Centre and size (N, 2) of the crops, px."""
        height, width = INPUT_SIZE_HW
        w, h = self.bbox_xywh[:, 2], self.bbox_xywh[:, 3]
        size = np.stack([np.maximum(w, h * width / height), np.maximum(h, w * height / width)], axis=1) * PADDING
        return self.bbox_xywh[:, :2] + self.bbox_xywh[:, 2:] / 2, size

    def poses(self) -> tuple[Array, Array, Array, Array]:
        """keypoints (N, K, 2) px, joint scores (N, K), ranking scores (N,), areas of the crops (N,) px²."""
        center, size = self.crops()
        joint_scores = 1 - self.sigma.mean(axis=2)
        scores = self.box_score + joint_scores.mean(axis=1) + joint_scores.max(axis=1)
        return self.mu * size[:, None] + center[:, None], joint_scores, scores, size.prod(axis=1)


def people(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Boxes (N, 4) px in a picture, and keypoints (N, K, 2) px in them."""
    size = rng.uniform((20, 40), (200, 300), (count, 2))
    corner = rng.uniform(0, 1, (count, 2)) * (np.array(PICTURE_WH) - size - 1)
    keypoints = corner[:, None] + rng.uniform(0.05, 0.95, (count, JOINTS, 2)) * size[:, None]
    return np.concatenate([corner, size], axis=1).round(2), keypoints.round()


def coco_tree(pictures: int, persons: int, seed: int = 0) -> dict[str, Any]:
    """Annotations in COCO's layout: so many persons, spread evenly over so many pictures."""
    rng = np.random.default_rng(seed)
    boxes, keypoints = people(rng, persons)
    visible = np.where(rng.random((persons, JOINTS)) < 0.7, 2, 0)
    visible[:, 5] = 2  # at least one
    triplets = np.concatenate([keypoints, visible[..., None]], axis=2) * (visible[..., None] > 0)
    triplets = triplets.astype(int).reshape(persons, -1)
    annotations = [
        {
            "id": row + 1,
            "image_id": row * pictures // persons + 1,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": boxes[row].tolist(),
            "area": float(boxes[row, 2] * boxes[row, 3] * 0.6),
            "num_keypoints": int((visible[row] > 0).sum()),
            "keypoints": triplets[row].tolist(),
        }
        for row in range(persons)
    ]
    side = ("nose", "eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    names = ["nose", *(f"{where}_{joint}" for joint in side[1:] for where in ("left", "right"))]
    width, height = PICTURE_WH
    return {
        "info": {},
        "images": [
            {"id": i, "file_name": f"{i:012d}.jpg", "width": width, "height": height, "coco_url": f"x/{i:012d}.jpg"}
            for i in range(1, pictures + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": names, "skeleton": []}],
    }


def write_coco(path: Path, pictures: int, persons: int) -> Path:
    """`coco_tree` as a file, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(coco_tree(pictures, persons)))
    return path


def touch_pictures(folder: Path, count: int) -> None:
    """The picture files of `coco_tree`, without pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        (folder / f"{number:012d}.jpg").touch()


def detections(tree: dict[str, Any], seed: int = 1) -> Detections:
    """About 20.8 boxes a picture, as in COCO's detection file: half around persons, one in seven nearly twice."""
    rng = np.random.default_rng(seed)
    truth = tree["annotations"]
    count = round(len(tree["images"]) * BOXES_A_PICTURE)
    boxes, keypoints = people(rng, count)
    image_ids = np.sort(rng.integers(1, len(tree["images"]) + 1, count))
    chosen = rng.integers(len(truth), size=count)
    around = rng.random(count) < 0.5
    image_ids[around] = np.array([truth[row]["image_id"] for row in chosen])[around]
    boxes[around] = np.array([truth[row]["bbox"] for row in chosen])[around]
    of_truth = np.array([truth[row]["keypoints"] for row in chosen], float).reshape(count, JOINTS, 3)
    keypoints[around] = of_truth[around, :, :2]
    error = np.where(rng.random(count) < 0.3, 0.005, 0.06)[:, None] * boxes[:, 2:]
    keypoints += rng.normal(size=keypoints.shape) * error[:, None]
    order = np.argsort(image_ids, kind="stable")
    image_ids, boxes, keypoints = image_ids[order], boxes[order], keypoints[order]
    drawn = Detections(image_ids, boxes, rng.random(count), keypoints, rng.uniform(0.005, 0.2, keypoints.shape))
    center, size = drawn.crops()
    mu = (keypoints - center[:, None]) / size[:, None]
    return Detections(image_ids, boxes, drawn.box_score, mu.astype(np.float32), drawn.sigma.astype(np.float32))


def entries(found: Detections) -> list[dict[str, Any]]:
    """The poses as COCO results with box and area, as the authors' validation collects them."""
    keypoints, joint_scores, scores, areas = found.poses()
    flat = np.concatenate([keypoints, joint_scores[..., None]], axis=2).reshape(len(scores), -1)
    return [
        {
            "bbox": box,
            "image_id": image,
            "score": score,
            "category_id": 1,
            "keypoints": pose,
            "area": area,
        }
        for box, image, score, pose, area in zip(
            found.bbox_xywh.tolist(),
            found.image_ids.tolist(),
            scores.tolist(),
            flat.tolist(),
            areas.tolist(),
            strict=True,
        )
    ]


def predicted(batch: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """mu, the logits of sigma, and targets of a batch, all (B, K, 2) float32."""
    rng = np.random.default_rng(seed)
    mu = rng.uniform(-0.4, 0.4, (batch, JOINTS, 2))
    target = mu + rng.normal(size=mu.shape) * 0.05
    logits = rng.normal(-2, 0.3, mu.shape)
    return mu.astype(np.float32), logits.astype(np.float32), target.astype(np.float32)
