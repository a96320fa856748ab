"""From the network's output to COCO's ten numbers."""

import functools
import json
from functools import partial
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import torch
from bench import Bench
from measuring import Row, cpu_seconds

from rlepose.config.config import Config
from rlepose.datasets.formats.coco import CocoFile
from rlepose.datasets.options import DataConfig
from rlepose.evaluation.coco_table import evaluate_coco
from rlepose.evaluation.oks import oks_nms
from rlepose.evaluation.results import coco_results, write_results
from rlepose.evaluation.truth import truth_of
from rlepose.pose.codec import decode
from rlepose.pose.frames import Frames
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import COCO
from rlepose.runtime.distributed import Ranks
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation


def rows(bench: Bench) -> list[Row]:
    """Synthetic predictions for COCO val's number of persons and boxes; processor time."""
    all_of_val, some = bench.size(5000, 10), bench.size(1000, 10)
    path, root = str(bench.folder / "results.json"), _write_scene(bench, some)
    poses = f"{round(all_of_val * inputs.BOXES_A_PICTURE):,}"
    return [
        Row(
            "decode 1,000 predictions",
            "ms",
            {**bench.official("decode", pictures=bench.size(50, 10)), "ours": partial(_decode, all_of_val)},
        ),
        Row(
            f"OKS-NMS of {poses} poses",
            "s",
            {**bench.official("nms", pictures=all_of_val), "ours": partial(_nms, all_of_val)},
        ),
        Row(
            f"results JSON of {poses} poses",
            "s",
            {
                **bench.official("results_json", pictures=all_of_val, path=path),
                "ours": partial(_results_json, all_of_val, Path(path)),
            },
        ),
        Row(
            f"COCO's table, {round(all_of_val * inputs.TRUTHS_A_PICTURE):,} truths, {poses} poses before NMS",
            "s",
            {
                "pycocotools": partial(_coco_table, bench, all_of_val, "pycocotools"),
                "ours": partial(_coco_table, bench, all_of_val, "numpy"),
            },
        ),
        Row(
            f"whole evaluation after the forward pass, {round(some * inputs.BOXES_A_PICTURE):,} boxes",
            "s",
            {
                **bench.official("evaluation", pictures=some, root=str(root), path=path),
                "ours": partial(_evaluation, root, some, Path(path)),
            },
        ),
    ]


@functools.cache
def _scene(pictures: int) -> inputs.Detections:
    return inputs.detections(inputs.coco_tree(pictures, round(pictures * inputs.TRUTHS_A_PICTURE)))


def _write_scene(bench: Bench, pictures: int) -> Path:
    """The scene as a data set: annotations, detection file, and pictures without pixels."""
    root = bench.folder / f"scene{pictures}"
    annotations = root / "annotations" / "person_keypoints_val2017.json"
    inputs.write_coco(annotations, pictures, round(pictures * inputs.TRUTHS_A_PICTURE))
    inputs.touch_pictures(root / "val2017", pictures)
    found = _scene(pictures)
    columns = zip(found.image_ids.tolist(), found.bbox_xywh.tolist(), found.box_score.tolist(), strict=True)
    boxes = [{"image_id": image, "category_id": 1, "bbox": box, "score": score} for image, box, score in columns]
    (root / "detections.json").write_text(json.dumps(boxes))
    return root


def _decode(pictures: int) -> float:
    found = _scene(pictures)
    center, size = found.crops()

    def work() -> None:
        decode(found.mu, found.sigma, Frames.of_crops(center, size, inputs.INPUT_SIZE_HW))

    return cpu_seconds(work) / len(found.mu) * 1e6


def _kept(pictures: int) -> np.ndarray:
    found = _scene(pictures)
    keypoints, _, scores, areas = found.poses()
    return oks_nms(keypoints, scores, areas, found.image_ids, np.array(COCO.oks_sigmas), 0.9)


def _nms(pictures: int) -> float:
    return cpu_seconds(lambda: _kept(pictures))


def _results_json(pictures: int, path: Path) -> float:
    """From arrays: the authors' side begins with a finished list."""
    found = _scene(pictures)
    keypoints, joint_scores, scores, _ = found.poses()
    return cpu_seconds(lambda: write_results(path, coco_results(keypoints, joint_scores, scores, found.image_ids, 1)))


def _coco_table(bench: Bench, pictures: int, backend: str) -> float:
    found, kept = _scene(pictures), _kept(pictures)
    keypoints, joint_scores, scores, _ = (values[kept] for values in found.poses())
    results = coco_results(keypoints, joint_scores, scores, found.image_ids[kept], 1)
    file = bench.folder / f"scene{pictures}.json"
    truth = truth_of(CocoFile(inputs.write_coco(file, pictures, round(pictures * inputs.TRUTHS_A_PICTURE))))
    return cpu_seconds(lambda: evaluate_coco(truth, results, np.array(COCO.oks_sigmas), backend))


@functools.cache
def _validation(root: Path) -> Validation[Any]:
    data = DataConfig(root=str(root), detections=str(root / "detections.json"), input_size_hw=inputs.INPUT_SIZE_HW)
    return build_validation(Config(data=data), str(root / "detections.json"), Ranks(0, 1, torch.device("cpu")))


def _evaluation(root: Path, pictures: int, path: Path) -> float:
    """The validation's way from mu and sigma to metrics and results file."""
    found, validation = _scene(pictures), _validation(root)
    table, dataset = validation.table, validation.source.dataset

    def work() -> None:
        keypoints, sigma = decode(found.mu, found.sigma, dataset.frames())
        joint_scores = 1 - found.sigma.mean(axis=2)
        poses = Poses(
            keypoints,
            sigma,
            joint_scores,
            np.ones(len(keypoints), bool),
            image_ids=table.person_image_ids(),
            category_ids=table.category_ids,
            box_score=table.box_score,
            frame_wh=dataset.scale,
        )
        _, results = validation.evaluator.evaluate(poses)
        write_results(path, *results)

    return cpu_seconds(work)
