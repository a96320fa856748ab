"""From predictions in 2-D to numbers: COCO's table, PCK and NME."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.datasets.category_joints import JointKind, own_joints
from rlepose.datasets.formats.coco import CocoFile, persons_from_annotations, persons_from_detections
from rlepose.datasets.images import read_image
from rlepose.drawing.overlays import Picture, truth_and_prediction
from rlepose.evaluation.coco_table import COCO_METRICS, evaluate_coco, mean_table
from rlepose.evaluation.nme import NME_ERRORS, NME_LEFT_OUT, NME_METRICS, check_reference
from rlepose.evaluation.pck import PCK_THRESHOLDS, pck, reference_joints, reference_length
from rlepose.evaluation.recalibration import Recalibration
from rlepose.evaluation.results import CocoResults, write_results
from rlepose.evaluation.slices import crowd_index, slices
from rlepose.evaluation.truth import truth_of
from rlepose.pose.geometry import Floats
from rlepose.runtime.distributed import Ranks
from rlepose.validation.estimator import Predictions
from rlepose.validation.nme_evaluator import NmeEvaluator
from rlepose.validation.pose_validator import PoseValidator, metric_text

log = logging.getLogger(__name__)

# The columns of the two tables that are printed.
_COLUMNS = (
    (*COCO_METRICS, *(f"PCK@{t:g}" for t in sorted(set().union(*PCK_THRESHOLDS.values())))),
    (*NME_METRICS, NME_LEFT_OUT),
)


class Validator(PoseValidator[list[CocoResults]]):
    """Validation on the persons of `config.data`'s validation file.

    boxes: 'gt' for the boxes of the annotation file, else the path of a detection file. The numbers' names begin with
    'gt/' or 'det/' accordingly. recalibration: corrects the predicted sigma; scores, and so AP, stay the network's.
    Where categories have different joints, results and COCO's numbers are of each kind on its own, with its own joints,
    and the numbers without a kind's name are the kinds' mean. Benchmarks' parts (evaluation/slices.py) have numbers of
    their own, too: 'gt face/AP'. PCK and NME are of the persons of all kinds together, in their annotated boxes.
    nme: what judges poses by their NME; None with detected boxes, and where `eval.nme_reference` is null.
    """

    selected_by = "gt/AP"
    errors = tuple(f"gt/{name}" for name in NME_ERRORS)

    def __init__(self, config: Config, boxes: str, ranks: Ranks, recalibration: Recalibration | None = None) -> None:
        data = config.data
        root = Path(data.root)
        self.detected = boxes != "gt"
        self.prefix = "det" if self.detected else "gt"
        self.path = root / data.val_annotations
        self.coco = CocoFile(self.path, data.category)
        self.kinds = self.coco.kinds
        self.truths = [truth_of(self.coco, kind) for kind in self.kinds]
        self.crowd_index = crowd_index(self.coco)
        skeleton = self.coco.skeleton(data.oks_sigmas, data.flip_pairs)
        images = root / data.val_images
        if self.detected:
            table = persons_from_detections(self.coco, images, boxes, self.kinds, data.detection_boxes == "clipped")
        else:
            table = persons_from_annotations(self.coco, images)
        # An InputError now rather than after an epoch.
        reference_joints(config.eval.pck_reference, skeleton)
        check_reference(config.eval.nme_reference, skeleton, self.kinds)
        super().__init__(config, table, skeleton, ranks, recalibration)
        self.own_joints = own_joints(self.kinds, self.table.category_ids)
        self.nme: NmeEvaluator | None = None
        if not self.detected and config.eval.nme_reference is not None:
            self.nme = NmeEvaluator(config.eval.nme_reference, self.table, self.annotations(), skeleton)

    @property
    def selectable(self) -> tuple[str, ...]:
        names = [*COCO_METRICS]
        one_a_picture = len(np.unique(self.table.image_index)) == len(self.table)
        if one_a_picture or self.config.eval.pck_reference != "box":
            names += [f"PCK@{t:g}" for t in PCK_THRESHOLDS[self.config.eval.pck_reference]]
        if self.nme is not None:
            names += NME_METRICS
        return tuple(f"{self.prefix}/{name}" for name in names)

    def coco_tables(self, predictions: Predictions) -> tuple[list[dict[str, float | None]], list[CocoResults]]:
        """COCO's numbers of each kind, and the poses that they were computed from."""
        poses = self.detected_poses if self.detected else self.poses
        results = [poses(predictions, kind) for kind in self.kinds]
        tables = [
            evaluate_coco(truth, found, self.oks_sigmas(kind), self.config.eval.backend)
            for kind, truth, found in zip(self.kinds, self.truths, results, strict=True)
        ]
        return tables, results

    def evaluate(self, predictions: Predictions) -> tuple[dict[str, Any], list[CocoResults]]:
        tables, results = self.coco_tables(predictions)
        metrics = mean_table(tables)
        valid = np.flatnonzero(predictions.valid)
        one_a_picture = len(np.unique(self.table.image_index[valid])) == len(valid)
        if not self.detected and (one_a_picture or self.config.eval.pck_reference != "box"):
            metrics |= self._pck(predictions.keypoints[valid], valid)
        if self.nme is not None:
            judged = self.nme.evaluate(predictions)
            log.info("NME             relative to %s; persons left out: %s", judged.reference, judged.reasons())
            metrics |= judged.metrics()
        backend = self.config.eval.backend
        if len(self.kinds) > 1:
            rows = {kind.name: table for kind, table in zip(self.kinds, tables, strict=True)}
        else:
            oks_sigmas = np.array(self.skeleton.oks_sigmas)
            parts = slices(self.skeleton.names, self.truths[0], results[0], oks_sigmas, self.crowd_index)
            rows = {part.name: evaluate_coco(part.truth, part.results, part.oks_sigmas, backend) for part in parts}
        named = {f"{self.prefix}/{name}": value for name, value in metrics.items()}
        for row, table in rows.items():
            named |= {f"{self.prefix} {row}/{name}": value for name, value in table.items()}
        return named, results

    def annotations(self) -> list[dict[str, Any]]:
        """The annotation file's entries of the table's persons."""
        by_id = {annotation["id"]: annotation for annotation in self.coco.annotations}
        return [by_id[identity] for identity in self.table.person_ids.tolist()]

    def oks_sigmas(self, kind: JointKind) -> Floats:
        """The OKS constants of a kind's joints."""
        return np.array(self.skeleton.oks_sigmas).take(kind.joints)

    def confidence(self, predictions: Predictions) -> Floats:
        """(N,) mean score of each person's own joints."""
        return predictions.joint_scores.mean(axis=1, where=self.own_joints)

    def write(self, out: Path, results: list[CocoResults]) -> None:
        """keypoints_gt.json or keypoints_det.json, as COCO's server takes it."""
        write_results(out / f"keypoints_{self.prefix}.json", *results)

    def title(self, person: int, predictions: Predictions) -> str:
        return f"predicted, score {self.confidence(predictions)[person]:.2f}"

    def draw(self, person: int, predictions: Predictions, sigma: Floats | None, title: str) -> Picture:
        return truth_and_prediction(
            read_image(self.table.image_path(person)),
            self.table.bbox_xywh[person],
            self.skeleton,
            self.table.keypoints[person],
            self.table.visible[person],
            predictions.keypoints[person],
            None if sigma is None else sigma[person],
            title,
            own=self.own_joints[person],
        )

    def _pck(self, keypoints: Floats, persons: NDArray[np.intp]) -> dict[str, float | None]:
        truth, visible = self.table.keypoints[persons], self.table.visible[persons]
        kind = self.config.eval.pck_reference
        reference = reference_length(kind, truth, visible, self.table.bbox_xywh[persons], self.skeleton)
        return {f"PCK@{t:g}": pck(keypoints, truth, visible, reference, t) for t in PCK_THRESHOLDS[kind]}

    @staticmethod
    def format_table(metrics: dict[str, Any]) -> str:
        """The metrics as tables: a row for the kind of boxes, of joints and each part, a column a number."""
        return "\n".join(text for columns in _COLUMNS if (text := _table(metrics, columns)))


def _table(metrics: dict[str, Any], columns: Sequence[str]) -> str:
    """The rows that have a number of these columns, and the columns that a row has; '' without any."""
    named = [name.partition("/") for name in metrics]
    rows = sorted({row for row, _, column in named if column in columns}, reverse=True)
    names = [name for name in columns if any(f"{row}/{name}" in metrics for row in rows)]
    if not rows:
        return ""
    lines = [["boxes", *names]]
    lines += [[row, *(metric_text(metrics.get(f"{row}/{name}")) for name in names)] for row in rows]
    first, widths = max(map(len, ["boxes", *rows])), [max(7, len(name)) for name in names]
    return "\n".join(
        " ".join([head.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])
        for head, *cells in lines
    )
