"""COCO's table of ten metrics, by pycocotools or by the project's own arrays."""

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rlepose.errors import InputError
from rlepose.evaluation.keypoint_ap import keypoint_ap
from rlepose.evaluation.results import CocoResults
from rlepose.evaluation.truth import CocoTruth
from rlepose.pose.geometry import Floats

COCO_METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


def evaluate_coco(
    truth: CocoTruth, results: CocoResults, oks_sigmas: Floats, backend: str = "numpy"
) -> dict[str, float | None]:
    """Return COCO's keypoint metrics over all pictures of the truth, in [0, 1].

    A metric is None if there is nothing to measure it on (no person of that size). Without results, all are 0.
    backend: 'numpy' or 'pycocotools', with the same metrics. InputError for poses in unknown pictures.
    """
    strangers = np.setdiff1d(results.image_ids, truth.image_ids)
    if len(strangers):
        raise InputError(
            f"results: no picture {strangers[0]} in the annotation file; check that both are of the same split"
        )
    figures = EVALUATORS[backend](truth, results, oks_sigmas)
    return {name: None if np.isnan(value) else float(value) for name, value in zip(COCO_METRICS, figures, strict=True)}


def mean_table(tables: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of several tables, like COCO's evaluation over categories, ignoring None."""
    if len(tables) == 1:
        return tables[0]
    values = {name: [value for table in tables if (value := table[name]) is not None] for name in COCO_METRICS}
    return {name: float(np.mean(those)) if those else None for name, those in values.items()}


def pycocotools_ap(truth: CocoTruth, results: CocoResults, oks_sigmas: Floats) -> Floats:
    """Return the ten metrics computed by pycocotools, (10,), NaN if undefined. Prints nothing."""
    # pycocotools imports matplotlib, which takes half a second.
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        labels = COCO()
        labels.dataset = {
            "info": {},  # required by pycocotools before 2.0.11
            "images": [{"id": identity} for identity in truth.image_ids.tolist()],
            "annotations": _annotations(truth, results.category_id),
            "categories": [{"id": results.category_id}],
        }
        labels.createIndex()
        found = labels.loadRes(results.entries()) if len(results) else COCO()  # loadRes fails on an empty list
        for pose, area in zip(found.anns.values(), results.area.tolist(), strict=True):
            pose["area"] = area  # loadRes writes the area of all joints of this table
        evaluation = COCOeval(labels, found, "keypoints")
        evaluation.params.kpt_oks_sigmas = oks_sigmas
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # pycocotools returns −1 if there is nothing to measure.
    return np.where(evaluation.stats > -1, evaluation.stats, np.nan)


EVALUATORS: Mapping[str, Callable[[CocoTruth, CocoResults, Floats], Floats]] = {
    "numpy": keypoint_ap,
    "pycocotools": pycocotools_ap,
}


def _annotations(truth: CocoTruth, category_id: int) -> list[dict[str, Any]]:
    joints = np.concatenate([truth.keypoints, truth.labelled[..., None]], axis=-1)
    columns = (
        joints.reshape(len(truth), 3 * joints.shape[1]),
        truth.image_ids[truth.image_index],
        truth.bbox_xywh,
        truth.area,
        truth.crowd,
        truth.labelled.sum(axis=1),
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        {
            "id": number,  # from 1: pycocotools treats a match with id 0 as no match
            "image_id": image,
            "category_id": category_id,
            "keypoints": keypoints,
            "num_keypoints": labelled,
            "bbox": box,
            "area": area,
            "iscrowd": crowd,
        }
        for number, (keypoints, image, box, area, crowd, labelled) in enumerate(rows, 1)
    ]
