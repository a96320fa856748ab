"""Evaluate 2-D poses: COCO's table, PCK and NME."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.datasets.category_groups import CategoryGroup, own_joints
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.images import read_labelled_image
from rlepose.datasets.persons import PersonTable
from rlepose.drawing.overlays import Picture, truth_and_prediction
from rlepose.evaluation.calibration import Compared
from rlepose.evaluation.coco_table import COCO_METRICS, evaluate_coco, mean_table
from rlepose.evaluation.nme import NME_ERRORS, NME_LEFT_OUT, NME_METRICS, check_reference
from rlepose.evaluation.oks import oks_with_label
from rlepose.evaluation.pck import PCK_THRESHOLDS, pck, reference_joints, reference_length
from rlepose.evaluation.results import CocoResults, write_results
from rlepose.evaluation.slices import crowd_index, slices
from rlepose.evaluation.truth import CocoTruth, annotation_area, truth_of
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.validation.evaluator import Evaluator, metric_text
from rlepose.validation.nme_evaluator import NmeEvaluator
from rlepose.validation.pose_results import detected_results_of, results_of

log = logging.getLogger(__name__)

# The columns of the two printed tables.
_COLUMNS = (
    (*COCO_METRICS, *(f"PCK@{t:g}" for t in sorted(set().union(*PCK_THRESHOLDS.values())))),
    (*NME_METRICS, NME_LEFT_OUT),
)


class CocoEvaluator(Evaluator[list[CocoResults]]):
    """Evaluates poses against a file in COCO's layout: COCO's table, PCK and NME.

    coco: the file. labels: its persons, in whose boxes poses are predicted; None for poses in detected boxes, which are
    ranked by the detector's score, too, and deduplicated. Metric names start with 'gt/' or 'det/' accordingly.
    If categories have different joints, each group of categories with the same joints has its own results and COCO
    metrics, and metrics without a group's name are the mean over groups. Subsets of a benchmark (evaluation/slices.py)
    have metrics, too: 'gt face/AP'. PCK and NME are computed over the persons of all groups, in their annotated boxes.
    nme: evaluates NME; None for detected boxes, and if `eval.nme_reference` is null.
    """

    selected_by = "gt/AP"
    errors = tuple(f"gt/{name}" for name in NME_ERRORS)
    columns = 2
    quality = "OKS"
    risk = "1 − OKS"
    number_prefix = "gt/"

    def __init__(self, config: Config, coco: CocoFile, labels: PersonTable | None) -> None:
        self.config = config
        self.path = coco.path
        self.prefix = "det" if labels is None else "gt"
        self.coco = coco
        self.groups = coco.groups
        self.truths = [truth_of(coco, group) for group in self.groups]
        self.crowd_index = crowd_index(coco)
        self.skeleton = coco.skeleton(config.data.oks_sigmas, config.data.flip_pairs)
        # Raises an InputError now and not after an epoch.
        reference_joints(config.eval.pck_reference, self.skeleton)
        check_reference(config.eval.nme_reference, self.skeleton, self.groups)
        self._labels = labels
        self.nme: NmeEvaluator | None = None
        if labels is not None and config.eval.nme_reference is not None:
            self.nme = NmeEvaluator(config.eval.nme_reference, labels, self.annotations(), self.skeleton)

    @property
    def labels(self) -> PersonTable:
        assert self._labels is not None, "poses in a detector's boxes belong to no label"
        return self._labels

    @property
    def selectable(self) -> tuple[str, ...]:
        names = [*COCO_METRICS]
        if self._labels is not None and self._has_pck(self._labels.image_index):
            names += [f"PCK@{t:g}" for t in PCK_THRESHOLDS[self.config.eval.pck_reference]]
        if self.nme is not None:
            names += NME_METRICS
        return tuple(f"{self.prefix}/{name}" for name in names)

    def truths_of(self, poses: Poses) -> list[CocoTruth]:
        """Return the labels of each group of categories, without pictures that could not be read."""
        if not poses.unread_images:
            return self.truths
        return [truth.with_pictures(~np.isin(truth.image_ids, poses.unread_images)) for truth in self.truths]

    def coco_tables(self, poses: Poses) -> tuple[list[dict[str, float | None]], list[CocoResults]]:
        """Return COCO's metrics of each group, and the results from which they were computed."""
        if self._labels is None:
            threshold = self.config.eval.nms_threshold
            results = [detected_results_of(poses, group, self.skeleton, threshold) for group in self.groups]
        else:
            results = [results_of(poses, group, self.skeleton) for group in self.groups]
        tables = [
            evaluate_coco(truth, found, self.oks_sigmas(group), self.config.eval.backend)
            for group, truth, found in zip(self.groups, self.truths_of(poses), results, strict=True)
        ]
        return tables, results

    def evaluate(self, poses: Poses) -> tuple[dict[str, Any], list[CocoResults]]:
        tables, results = self.coco_tables(poses)
        metrics = mean_table(tables)
        if self._labels is not None:
            valid = self.rows(poses)[poses.valid]
            if self._has_pck(self._labels.image_index[valid]):
                metrics |= self._pck(poses.keypoints[poses.valid], valid)
        if self.nme is not None:
            judged = self.nme.evaluate(poses, self.rows(poses))
            log.info("NME             relative to %s; skipped persons: %s", judged.reference, judged.reasons())
            metrics |= judged.metrics()
        backend = self.config.eval.backend
        if len(self.groups) > 1:
            rows = {group.name: table for group, table in zip(self.groups, tables, strict=True)}
        else:
            oks_sigmas = np.array(self.skeleton.oks_sigmas)
            read = ~np.isin(self.truths[0].image_ids, poses.unread_images)
            crowding = None if self.crowd_index is None else self.crowd_index[read]
            parts = slices(self.skeleton.names, self.truths_of(poses)[0], results[0], oks_sigmas, crowding)
            rows = {part.name: evaluate_coco(part.truth, part.results, part.oks_sigmas, backend) for part in parts}
        named = {f"{self.prefix}/{name}": value for name, value in metrics.items()}
        for row, table in rows.items():
            named |= {f"{self.prefix} {row}/{name}": value for name, value in table.items()}
        return named, results

    def annotations(self) -> list[dict[str, Any]]:
        """Return the annotation file's entries of the persons in `labels`."""
        by_id = {annotation["id"]: annotation for annotation in self.coco.annotations}
        return [by_id[identity] for identity in self.labels.person_ids.tolist()]

    def oks_sigmas(self, group: CategoryGroup) -> Floats:
        """Return the OKS constants of a group's joints."""
        return np.array(self.skeleton.oks_sigmas).take(group.joints)

    def confidence(self, poses: Poses) -> Floats:
        """Return (N,) the mean score of each person's own joints."""
        return poses.joint_scores.mean(axis=1, where=own_joints(self.groups, poses.category_ids))

    def areas(self) -> Floats:
        """Return (N,) px², the areas for OKS of the persons in `labels`."""
        return np.array([annotation_area(annotation) for annotation in self.annotations()])

    @property
    def density_joints(self) -> tuple[str, ...]:
        return self.skeleton.names

    def compared(self, poses: Poses, chosen: NDArray[np.bool_]) -> Compared:
        rows = self.rows(poses)[chosen]
        keypoints, area = poses.keypoints[chosen], self.areas()[rows]
        truth, visible = self.labels.keypoints[rows], self.labels.visible[rows]
        oks = oks_with_label(keypoints, truth, visible, area, np.array(self.skeleton.oks_sigmas))
        return Compared(
            keypoints,
            poses.scale()[chosen],
            truth,
            visible,
            unit=poses.network_unit[chosen],
            confidence=self.confidence(poses)[chosen],
            quality=oks,
            risk=1 - oks,
            size=np.sqrt(area),
        )

    def write(self, out: Path, results: list[CocoResults]) -> None:
        """Write keypoints_gt.json or keypoints_det.json, in the format of COCO's server."""
        write_results(out / f"keypoints_{self.prefix}.json", *results)

    def title(self, pose: int, poses: Poses) -> str:
        return f"predicted, confidence {self.confidence(poses)[pose]:.2f}"

    def draw(self, pose: int, poses: Poses, std: Floats | None, title: str) -> Picture:
        labels, row = self.labels, int(self.rows(poses)[pose])
        return truth_and_prediction(
            read_labelled_image(labels, int(labels.image_index[row])),
            labels.bbox_xywh[row],
            self.skeleton,
            labels.keypoints[row],
            labels.visible[row],
            poses.keypoints[pose],
            None if std is None else std[pose],
            title,
            own=own_joints(self.groups, poses.category_ids[[pose]])[0],
        )

    def _has_pck(self, image_index: NDArray[np.integer]) -> bool:
        """Return whether PCK is meaningful for persons in these pictures (N,): boxes overlap if one has several."""
        return len(np.unique(image_index)) == len(image_index) or self.config.eval.pck_reference != "box"

    def _pck(self, keypoints: Floats, rows: NDArray[np.intp]) -> dict[str, float | None]:
        truth, visible = self.labels.keypoints[rows], self.labels.visible[rows]
        reference = self.config.eval.pck_reference
        length = reference_length(reference, truth, visible, self.labels.bbox_xywh[rows], self.skeleton)
        return {f"PCK@{t:g}": pck(keypoints, truth, visible, length, t) for t in PCK_THRESHOLDS[reference]}

    @staticmethod
    def format_table(metrics: dict[str, Any]) -> str:
        """Format the metrics as tables: rows are boxes, groups and subsets; columns are metrics."""
        return "\n".join(text for columns in _COLUMNS if (text := _table(metrics, columns)))


def _table(metrics: dict[str, Any], columns: Sequence[str]) -> str:
    """Format the rows that have any of these columns, and the columns that any row has; '' if there are none."""
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
