"""Parts of the body, and pictures by their crowding, are what pycocotools makes of these alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.evaluation.coco_table import COCO_METRICS, evaluate_coco
from rlepose.evaluation.results import CocoResults, coco_results
from rlepose.evaluation.slices import area_joints, crowd_index, slices
from rlepose.evaluation.truth import CocoTruth, truth_of
from rlepose.pose.geometry import Floats
from rlepose.pose.joint_sets import WHOLEBODY

PARTS = {"body": (0, 17), "foot": (17, 23), "face": (23, 91), "left hand": (91, 112), "right hand": (112, 133)}
PICTURES, PERSONS = 9, 40


def drawn_set(tmp_path: Path, names: tuple[str, ...]) -> tuple[CocoFile, CocoTruth, CocoResults]:
    """Persons of whom many lack all labels of a part, in pictures whose crowd index grows, and poses near them."""
    rng, count = np.random.default_rng(0), len(names)
    images = [
        {"id": 3 * i, "file_name": f"{i}.jpg", "width": 640, "height": 480, "crowdIndex": index}
        for i, index in enumerate([0, 0.1, 0.199, 0.2, 0.4, 0.799, 0.8, 0.9, 1])
    ]
    annotations = []
    for identity in range(1, PERSONS + 1):
        joints = np.column_stack([rng.uniform(20, 300, (count, 2)), rng.integers(0, 3, count)])
        for first, end in PARTS.values():
            if first:  # smaller than the body
                joints[first:end, :2] /= 5
            if rng.uniform() < 0.3:
                joints[first:end] = 0
        joints[joints[:, 2] == 0] = 0
        person = {"id": identity, "image_id": 3 * int(rng.integers(PICTURES)), "category_id": 1, "iscrowd": 0}
        person |= {"bbox": [20, 20, 280, 280], "area": float(rng.uniform(2000, 30000)), "keypoints": joints.ravel()}
        annotations.append(person | {"keypoints": joints.ravel().tolist(), "num_keypoints": int(joints[:, 2].sum())})
    tree = {"images": images, "annotations": annotations}
    tree["categories"] = [{"id": 1, "name": "person", "keypoints": list(names)}]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(tree))
    coco = CocoFile(path)
    truth = truth_of(coco)
    keypoints = truth.keypoints + rng.normal(0, 2, truth.keypoints.shape) * rng.uniform(0.2, 3, (PERSONS, 1, 1))
    ids = truth.image_ids[truth.image_index]
    scores, area = rng.uniform(0, 1, PERSONS), area_joints(names)
    results = coco_results(keypoints, np.ones((PERSONS, count)), scores, ids, 1, area)
    return coco, truth, results


def by_pycocotools(
    tree: dict[str, Any], entries: list[dict[str, Any]], oks_sigmas: Floats, areas: Sequence[float] = ()
) -> list[float]:
    """areas: of the poses, px², where they are not those of the entries' joints."""
    truth = COCO()
    truth.dataset = tree | {"info": {}}
    truth.createIndex()
    found = truth.loadRes(entries)
    for pose, area in zip(found.dataset["annotations"], areas, strict=False):
        pose["area"] = area
    evaluation = COCOeval(truth, found, "keypoints")
    evaluation.params.kpt_oks_sigmas = oks_sigmas
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


def plain(results: CocoResults) -> list[dict[str, Any]]:
    return [entry | {"keypoints": entry["keypoints"].tolist()} for entry in results.entries()]


def assert_alike(found: dict[str, float | None], expected: list[float]) -> None:
    for name, value in zip(COCO_METRICS, expected, strict=True):
        assert found[name] == (None if value == -1 else pytest.approx(value, abs=1e-12))


def test_parts_of_a_whole_body_are_judged_by_their_own_joints(tmp_path: Path) -> None:
    coco, truth, results = drawn_set(tmp_path, WHOLEBODY.names)
    sigmas = np.array(WHOLEBODY.oks_sigmas)
    areas = [np.ptp(body[:, 0]) * np.ptp(body[:, 1]) for body in results.joints[:, slice(*PARTS["body"])]]
    found = {part.name: part for part in slices(WHOLEBODY.names, truth, results, sigmas, None)}
    assert list(found) == list(PARTS)
    values = set()
    for name, (first, end) in PARTS.items():
        part = found[name]
        metrics = evaluate_coco(part.truth, part.results, part.oks_sigmas)
        tree = json.loads(coco.path.read_text())
        for person in tree["annotations"]:
            person["keypoints"] = person["keypoints"][3 * first : 3 * end]
            person["num_keypoints"] = sum(mark > 0 for mark in person["keypoints"][2::3])
        entries = plain(results)
        for entry in entries:
            entry["keypoints"] = entry["keypoints"][3 * first : 3 * end]
        assert_alike(metrics, by_pycocotools(tree, entries, sigmas[first:end], areas))
        values.add(metrics["AP"])
    assert len(values) == len(PARTS)


def test_pictures_are_judged_by_their_crowding(tmp_path: Path) -> None:
    names = tuple(f"part{joint}" for joint in range(5))
    coco, truth, results = drawn_set(tmp_path, names)
    sigmas = np.full(5, 0.05)
    found = list(slices(names, truth, results, sigmas, crowd_index(coco)))
    assert [part.name for part in found] == ["easy", "medium", "hard"]
    for part, rows in zip(found, ((0, 3, 6), (9, 12, 15), (18, 21, 24)), strict=True):
        assert part.truth.image_ids.tolist() == list(rows)
        tree = json.loads(coco.path.read_text())
        tree["images"] = [image for image in tree["images"] if image["id"] in rows]
        tree["annotations"] = [person for person in tree["annotations"] if person["image_id"] in rows]
        entries = [entry for entry in plain(results) if entry["image_id"] in rows]
        assert_alike(evaluate_coco(part.truth, part.results, sigmas), by_pycocotools(tree, entries, sigmas))


def test_other_data_sets_have_no_parts(tmp_path: Path) -> None:
    coco, truth, results = drawn_set(tmp_path, ("nose", "tail"))
    del coco.images[0]["crowdIndex"]
    assert crowd_index(coco) is None
    assert not list(slices(("nose", "tail"), truth, results, np.full(2, 0.05), None))
