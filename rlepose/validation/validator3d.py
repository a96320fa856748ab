"""From predictions in 3-D to numbers: MPJPE and its like, by action."""

from pathlib import Path
from typing import Any

import numpy as np

from rlepose.config.config import Config
from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.datasets.formats.h36m_npz import read_h36m
from rlepose.datasets.images import read_image
from rlepose.datasets.persons3d import Person3DTable
from rlepose.drawing.overlays import Picture, truth_and_prediction
from rlepose.drawing.views_in_space import side_and_top
from rlepose.errors import InputError
from rlepose.evaluation.mpjpe import METRICS, error_table, errors_by_action, joint_errors, relative_to_root
from rlepose.evaluation.recalibration import Recalibration
from rlepose.evaluation.results import refuse_nonfinite, write_json
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import H36M, H36M_ROOT
from rlepose.runtime.distributed import Ranks
from rlepose.validation.estimator import Predictions
from rlepose.validation.pose_validator import PoseValidator

_DECIMALS = 2


class Validator3D(PoseValidator[list[dict[str, Any]]]):
    """Validation on the persons of a Human3.6M file, seen by the file's cameras at the labelled depth of the root.

    Metrics are called MPJPE, PA_MPJPE, … over all persons and MPJPE/Walking, … for an action (evaluation/mpjpe.py).
    boxes: 'gt'; there are no others. recalibration: corrects the predicted sigma.
    """

    selected_by = "MPJPE"
    errors = ("MPJPE", "PA_MPJPE")
    selectable = METRICS
    table: Person3DTable

    def __init__(self, config: Config, boxes: str, ranks: Ranks, recalibration: Recalibration | None = None) -> None:
        if boxes != "gt":
            raise InputError(f"--boxes: {boxes}: in 3-D the labels' own boxes are taken; leave it out")
        root = Path(config.data.root)
        self.path = root / config.data.val_annotations
        super().__init__(config, read_h36m(self.path, root / config.data.val_images), H36M, ranks, recalibration)

    def evaluate(self, predictions: Predictions) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        refuse_nonfinite(predictions.keypoints)
        valid = predictions.valid
        joints, truth = self._in_space(predictions.keypoints)[valid], self.table.joints_mm()[valid]
        report = errors_by_action(joints, truth, self.table.action[valid], H36M_ROOT, METRIC_JOINTS)
        metrics: dict[str, Any] = dict(report.pop("all"))
        metrics |= {f"{name}/{action}": row[name] for action, row in report.items() for name in METRICS}
        pixels = np.round(predictions.keypoints[valid, :, :2], _DECIMALS).tolist()
        results = [
            {"image_id": image_id, "keypoints_cam": in_space, "keypoints": flat}
            for image_id, in_space, flat in zip(
                self.table.person_image_ids()[valid].tolist(), np.round(joints, _DECIMALS).tolist(), pixels, strict=True
            )
        ]
        return metrics, results

    def write(self, out: Path, results: list[dict[str, Any]]) -> None:
        """keypoints_gt.json: joints in the camera's frame, mm, and in the picture, px, in the order of H36M."""
        write_json(out / "keypoints_gt.json", results)

    def title(self, person: int, predictions: Predictions) -> str:
        truth, predicted = self._relative(person, predictions)
        return f"predicted, {joint_errors(predicted, truth).mean():.0f} mm off"

    def draw(self, person: int, predictions: Predictions, sigma: Floats | None, title: str) -> Picture:
        table = self.table
        truth, predicted = self._relative(person, predictions)
        keypoints, sigma_px, sigma_mm = predictions.keypoints[person], None, None
        if sigma is not None:
            sigma_px = sigma[person, :, :2]
            mm_a_px = table.root_depth[person] / table.focal[person]
            sigma_mm = (sigma[person] * np.append(mm_a_px, 1.0))[list(METRIC_JOINTS)]
        pair = truth_and_prediction(
            read_image(table.image_path(person)),
            table.bbox_xywh[person],
            self.skeleton,
            table.keypoints[person],
            table.visible[person],
            keypoints[:, :2],
            sigma_px,
            title,
        )
        views = side_and_top(truth, predicted, sigma_mm, self.skeleton, pair.shape[0])
        return np.concatenate([pair, views], axis=1)

    @staticmethod
    def format_table(metrics: dict[str, Any]) -> str:
        report: dict[str, dict[str, float | None]] = {}
        for key, value in metrics.items():
            name, _, action = key.partition("/")
            report.setdefault(action or "all", {})[name] = value
        return error_table({**{action: row for action, row in report.items() if action != "all"}, "all": report["all"]})

    def _relative(self, person: int, predictions: Predictions) -> tuple[Floats, Floats]:
        """Truth and prediction of a person relative to the root: (17, 3) mm each."""
        truth, predicted = (
            relative_to_root(points[person], H36M_ROOT)[list(METRIC_JOINTS)]
            for points in (self.table.joints_mm(), self._in_space(predictions.keypoints))
        )
        return truth, predicted

    def _in_space(self, keypoints: Floats) -> Floats:
        return self.table.in_space(keypoints[..., :2], keypoints[..., 2])
