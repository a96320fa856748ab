"""Evaluate 3-D poses: MPJPE and related metrics, by action."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.datasets.images import read_labelled_image
from rlepose.datasets.persons3d import Person3DTable
from rlepose.drawing.overlays import Picture, truth_and_prediction
from rlepose.drawing.views_in_space import truth_and_prediction_in_space
from rlepose.evaluation.calibration import Compared
from rlepose.evaluation.mpjpe import METRICS, error_table, errors_by_action, joint_errors, relative_to_root
from rlepose.evaluation.results import refuse_nonfinite, write_json
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import H36M, H36M_ROOT
from rlepose.validation.evaluator import Evaluator

_DECIMALS = 2


class H36MEvaluator(Evaluator[list[dict[str, Any]]]):
    """Evaluates poses of a Human3.6M file's persons, with the file's cameras and the labelled depth of the root.

    Metrics are named MPJPE, PA_MPJPE, … over all persons and MPJPE/Walking, … for an action (evaluation/mpjpe.py).
    path: the file. labels: its persons.
    """

    selected_by = "MPJPE"
    errors = ("MPJPE", "PA_MPJPE")
    columns = 4
    quality = "MPJPE"
    risk = "mean error of a pose's joints, mm"
    selectable = METRICS
    skeleton = H36M

    def __init__(self, path: Path, labels: Person3DTable) -> None:
        self.path = path
        self._labels = labels

    @property
    def labels(self) -> Person3DTable:
        return self._labels

    def evaluate(self, poses: Poses) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        refuse_nonfinite(poses.keypoints)
        keypoints, labels = poses.keypoints[poses.valid], self.labels.select(self.rows(poses)[poses.valid])
        joints = in_space(labels, keypoints)
        report = errors_by_action(joints, labels.joints_mm(), labels.action, H36M_ROOT, METRIC_JOINTS)
        metrics: dict[str, Any] = dict(report.pop("all"))
        metrics |= {f"{name}/{action}": row[name] for action, row in report.items() for name in METRICS}
        pixels = np.round(keypoints[..., :2], _DECIMALS).tolist()
        results = [
            {"image_id": image_id, "keypoints_cam": in_camera, "keypoints": flat}
            for image_id, in_camera, flat in zip(
                labels.person_image_ids().tolist(), np.round(joints, _DECIMALS).tolist(), pixels, strict=True
            )
        ]
        return metrics, results

    def write(self, out: Path, results: list[dict[str, Any]]) -> None:
        """Write keypoints_gt.json: joints in the camera's frame, mm, and in the picture, px, in the order of H36M."""
        write_json(out / "keypoints_gt.json", results)

    @property
    def density_joints(self) -> tuple[str, ...]:
        return self.skeleton.names

    def compared(self, poses: Poses, chosen: NDArray[np.bool_]) -> Compared:
        """Compare in the picture and in depth, as the network predicts, in mm at the depth of the root.

        The root has no depth to predict, and is skipped.
        """
        labels = self.labels.select(self.rows(poses)[chosen])
        visible = np.isfinite(labels.depth).astype(np.uint8)
        visible[:, H36M_ROOT] = 0
        truth = np.concatenate([labels.keypoints, labels.depth[..., None]], axis=-1)
        mm, error = mm_a_unit(labels), self._errors(poses, chosen)
        return Compared(
            poses.keypoints[chosen] * mm,
            poses.scale()[chosen] * mm,
            truth * mm,
            visible,
            unit=poses.network_unit[chosen] * mm,
            confidence=poses.joint_scores[chosen].mean(axis=1),
            quality=error,
            risk=error,
        )

    def title(self, pose: int, poses: Poses) -> str:
        return f"predicted, {self._errors(poses, np.array([pose]))[0]:.0f} mm off"

    def draw(self, pose: int, poses: Poses, std: Floats | None, title: str) -> Picture:
        """Draw columns for label and prediction: in the picture, from the side and from above."""
        table, row = self.labels, int(self.rows(poses)[pose])
        pair = truth_and_prediction(
            read_labelled_image(table, int(table.image_index[row])),
            table.bbox_xywh[row],
            self.skeleton,
            table.keypoints[row],
            table.visible[row],
            poses.keypoints[pose, :, :2],
            None if std is None else std[pose, :, :2],
            title,
        )
        return np.concatenate([pair, self._views(pose, poses, std, ("the side", "above"))])

    @staticmethod
    def format_table(metrics: dict[str, Any]) -> str:
        report: dict[str, dict[str, float | None]] = {}
        for key, value in metrics.items():
            name, _, action = key.partition("/")
            if name not in METRICS:
                continue
            report.setdefault(action or "all", {})[name] = value
        return error_table({**{action: row for action, row in report.items() if action != "all"}, "all": report["all"]})

    def relative(self, poses: Poses, chosen: NDArray[Any]) -> tuple[Floats, Floats]:
        """Return truth and prediction of the chosen poses relative to the root: (N, 17, 3) mm each.

        chosen: mask or indices.
        """
        labels = self.labels.select(self.rows(poses)[chosen])
        truth, predicted = (
            relative_to_root(points, H36M_ROOT)[:, METRIC_JOINTS]
            for points in (labels.joints_mm(), in_space(labels, poses.keypoints[chosen]))
        )
        return truth, predicted

    def _errors(self, poses: Poses, chosen: NDArray[Any]) -> Floats:
        """Return (N,) mm, the mean error over joints of the chosen poses. chosen: mask or indices."""
        return joint_errors(*self.relative(poses, chosen)).mean(axis=1)

    def _views(
        self, pose: int, poses: Poses, std: Floats | None, views: Sequence[str], title: str | None = None
    ) -> Picture:
        """Draw rows for the views, columns for label and prediction. title: see `truth_and_prediction_in_space`."""
        truth, predicted = (points[0] for points in self.relative(poses, np.array([pose])))
        std_mm = None
        if std is not None:
            labels = self.labels.select(self.rows(poses)[[pose]])
            std_mm = (std[pose] * mm_a_unit(labels)[0])[list(METRIC_JOINTS)]
        return truth_and_prediction_in_space(truth, predicted, std_mm, self.skeleton, views, title)


def mm_a_unit(labels: Person3DTable) -> Floats:
    """Return (N, 1, 3) mm per unit of each coordinate of a pose, px and mm, at the depth of the root."""
    mm_a_px = labels.root_depth[:, None] / labels.focal
    return np.pad(mm_a_px, ((0, 0), (0, 1)), constant_values=1)[:, None]


def in_space(labels: Person3DTable, keypoints: Floats) -> Floats:
    """Convert poses (N, K, 3) px and mm of labelled persons to (N, K, 3) mm in the camera's frame."""
    return labels.in_space(keypoints[..., :2], keypoints[..., 2])
