"""Evaluate 3-D poses: MPJPE and related metrics, by action."""

from pathlib import Path
from typing import Any

import numpy as np

from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.datasets.images import read_labelled_image
from rlepose.datasets.persons3d import Person3DTable
from rlepose.drawing.overlays import Picture, draw_label, truth_and_prediction
from rlepose.drawing.views_in_space import side_and_top
from rlepose.evaluation.mpjpe import METRICS, error_table, errors_by_action, joint_errors, relative_to_root
from rlepose.evaluation.results import refuse_nonfinite, write_json
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import H36M, H36M_ROOT
from rlepose.validation.evaluator import Evaluator

_DECIMALS = 2
_SIDE = 240  # px, side of a 3-D view


class H36MEvaluator(Evaluator[list[dict[str, Any]]]):
    """Evaluates poses of a Human3.6M file's persons, with the file's cameras and the labelled depth of the root.

    Metrics are named MPJPE, PA_MPJPE, … over all persons and MPJPE/Walking, … for an action (evaluation/mpjpe.py).
    path: the file. labels: its persons. pictures: whether drawn poses also show the person in the picture; otherwise
    they only show views from the side and from above.
    """

    selected_by = "MPJPE"
    errors = ("MPJPE", "PA_MPJPE")
    columns = 1
    selectable = METRICS
    skeleton = H36M

    def __init__(self, path: Path, labels: Person3DTable, pictures: bool = True) -> None:
        self.path = path
        self._labels = labels
        self._pictures = pictures

    @property
    def labels(self) -> Person3DTable:
        return self._labels

    def evaluate(self, poses: Poses) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        refuse_nonfinite(poses.keypoints)
        keypoints, labels = poses.keypoints[poses.valid], self.labels.select(self.rows(poses)[poses.valid])
        joints = _in_space(labels, keypoints)
        report = errors_by_action(joints, labels.joints_mm(), labels.action, H36M_ROOT, METRIC_JOINTS)
        metrics: dict[str, Any] = dict(report.pop("all"))
        metrics |= {f"{name}/{action}": row[name] for action, row in report.items() for name in METRICS}
        pixels = np.round(keypoints[..., :2], _DECIMALS).tolist()
        results = [
            {"image_id": image_id, "keypoints_cam": in_space, "keypoints": flat}
            for image_id, in_space, flat in zip(
                labels.person_image_ids().tolist(), np.round(joints, _DECIMALS).tolist(), pixels, strict=True
            )
        ]
        return metrics, results

    def write(self, out: Path, results: list[dict[str, Any]]) -> None:
        """Write keypoints_gt.json: joints in the camera's frame, mm, and in the picture, px, in the order of H36M."""
        write_json(out / "keypoints_gt.json", results)

    def title(self, pose: int, poses: Poses) -> str:
        truth, predicted = self._relative(pose, poses)
        return f"predicted, {joint_errors(predicted, truth).mean():.0f} mm off"

    def draw(self, pose: int, poses: Poses, std: Floats | None, title: str) -> Picture:
        table = self.labels
        truth, predicted = self._relative(pose, poses)
        row, std_px, std_mm = int(self.rows(poses)[pose]), None, None
        if std is not None:
            std_px = std[pose, :, :2]
            mm_a_px = table.root_depth[row] / table.focal[row]
            std_mm = (std[pose] * np.append(mm_a_px, 1.0))[list(METRIC_JOINTS)]
        if not self._pictures:
            views = side_and_top(truth, predicted, std_mm, self.skeleton, _SIDE)
            draw_label(views, title, (_SIDE, _SIDE), above=True)  # on the prediction from the side
            return views
        pair = truth_and_prediction(
            read_labelled_image(table, int(table.image_index[row])),
            table.bbox_xywh[row],
            self.skeleton,
            table.keypoints[row],
            table.visible[row],
            poses.keypoints[pose, :, :2],
            std_px,
            title,
        )
        views = side_and_top(truth, predicted, std_mm, self.skeleton, pair.shape[0])
        return np.concatenate([pair, views], axis=1)

    @staticmethod
    def format_table(metrics: dict[str, Any]) -> str:
        report: dict[str, dict[str, float | None]] = {}
        for key, value in metrics.items():
            name, _, action = key.partition("/")
            if name not in METRICS:
                continue
            report.setdefault(action or "all", {})[name] = value
        return error_table({**{action: row for action, row in report.items() if action != "all"}, "all": report["all"]})

    def _relative(self, pose: int, poses: Poses) -> tuple[Floats, Floats]:
        """Return truth and prediction of a person relative to the root: (17, 3) mm each."""
        label = self.labels.select(self.rows(poses)[[pose]])
        truth, predicted = (
            relative_to_root(points[0], H36M_ROOT)[list(METRIC_JOINTS)]
            for points in (label.joints_mm(), _in_space(label, poses.keypoints[[pose]]))
        )
        return truth, predicted


def _in_space(labels: Person3DTable, keypoints: Floats) -> Floats:
    return labels.in_space(keypoints[..., :2], keypoints[..., 2])
