"""From predictions to numbers: COCO's table and PCK."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rlepose.config import Config
from rlepose.datasets.coco import CocoFile, persons_from_annotations, persons_from_detections
from rlepose.datasets.images import read_image
from rlepose.engine.distributed import Ranks
from rlepose.engine.estimator import Estimator, Predictions
from rlepose.evaluation.coco import COCO_METRICS, evaluate_coco
from rlepose.evaluation.pck import PCK_THRESHOLDS, pck, reference_joints, reference_length
from rlepose.evaluation.recalibration import Recalibration
from rlepose.evaluation.results import CocoResults
from rlepose.evaluation.truth import truth_of
from rlepose.geometry import Floats
from rlepose.losses import Criterion
from rlepose.visualize import Picture, sheet, truth_and_prediction


class Validator(Estimator):
    """Validation on the persons of `config.data`'s validation file.

    boxes: 'gt' for the boxes of the annotation file, else the path of a detection file. The numbers' names begin with
    'gt/' or 'det/' accordingly. recalibration: corrects the predicted sigma; scores, and so AP, stay the network's.
    """

    def __init__(self, config: Config, boxes: str, ranks: Ranks, recalibration: Recalibration | None = None) -> None:
        data = config.data
        root = Path(data.root)
        self.detected = boxes != "gt"
        self.prefix = "det" if self.detected else "gt"
        self.coco = CocoFile(root / data.val_annotations, data.category)
        self.truth = truth_of(self.coco)
        skeleton = self.coco.skeleton(data.oks_sigmas)
        images = root / data.val_images
        if self.detected:
            table = persons_from_detections(self.coco, images, boxes, self.coco.category_ids, len(skeleton))
        else:
            table = persons_from_annotations(self.coco, images)
        reference_joints(config.eval.pck_reference, skeleton)  # an InputError now rather than after an epoch
        super().__init__(config, table, skeleton, ranks, recalibration)

    def run(self, model: nn.Module, criterion: Criterion) -> tuple[dict[str, Any], CocoResults | None, Predictions]:
        """Metrics by name, COCO results (None on other ranks than 0), and the predictions they were made of."""
        predictions = self.predict(model, criterion)
        results: CocoResults | None = None

        def evaluate() -> dict[str, Any]:
            nonlocal results
            metrics, results = self.evaluate(predictions)
            return metrics

        return self.ranks.on_main(evaluate), results, predictions

    def evaluate(self, predictions: Predictions) -> tuple[dict[str, Any], CocoResults]:
        """Metrics by name, and the COCO results that they were computed from."""
        oks_sigmas, category = np.array(self.skeleton.oks_sigmas), self.coco.category["id"]
        results = self.detected_poses(predictions, category) if self.detected else self.poses(predictions, category)
        metrics = evaluate_coco(self.truth, results, oks_sigmas, self.config.eval.backend)
        valid = np.flatnonzero(predictions.valid)
        if not self.detected and len(np.unique(self.table.image_index[valid])) == len(valid):
            metrics |= self._pck(predictions.keypoints[valid], valid)
        return {f"{self.prefix}/{name}": value for name, value in metrics.items()}, results

    def pictures(self, predictions: Predictions, criterion: Criterion, count: int) -> Picture | None:
        """Truth beside prediction for `count` persons, spread evenly over the table; None if there are none.

        The ellipses' half axes are one standard deviation: sigma times the spread that the criterion's flow learned.
        """
        persons = np.flatnonzero(predictions.valid)
        if self.detected or not count or not len(persons):
            return None
        chosen = persons[np.unique(np.linspace(0, len(persons) - 1, min(count, len(persons))).astype(int))]
        titles = [f"predicted, score {predictions.joint_scores[person].mean():.2f}" for person in chosen]
        return self.drawn(predictions, criterion, chosen, titles)

    def drawn(
        self, predictions: Predictions, criterion: Criterion, persons: NDArray[np.intp], titles: Sequence[str]
    ) -> Picture:
        """Truth beside prediction for these rows of the table, with a title each; ellipses as in `pictures`."""
        sigma = predictions.sigma
        if sigma is not None:
            sigma = sigma * criterion.main.residual_spread().cpu().numpy()
        return sheet(
            [
                truth_and_prediction(
                    read_image(self.table.image_path(person)),
                    self.table.bbox_xywh[person],
                    self.skeleton,
                    self.table.keypoints[person],
                    self.table.visible[person],
                    predictions.keypoints[person],
                    None if sigma is None else sigma[person],
                    title,
                )
                for person, title in zip(persons, titles, strict=True)
            ]
        )

    def _pck(self, keypoints: Floats, persons: NDArray[np.intp]) -> dict[str, float | None]:
        truth, visible = self.table.keypoints[persons], self.table.visible[persons]
        kind = self.config.eval.pck_reference
        reference = reference_length(kind, truth, visible, self.table.bbox_xywh[persons], self.skeleton)
        return {f"PCK@{t:g}": pck(keypoints, truth, visible, reference, t) for t in PCK_THRESHOLDS[kind]}


def format_table(metrics: dict[str, Any]) -> str:
    """The metrics as a table: a row for the kind of boxes, a column a number."""
    kinds = sorted({name.partition("/")[0] for name in metrics}, reverse=True)
    names = [*COCO_METRICS, *(f"PCK@{t:g}" for t in sorted(set().union(*PCK_THRESHOLDS.values())))]
    names = [name for name in names if any(f"{kind}/{name}" in metrics for kind in kinds)]
    lines = ["boxes " + " ".join(f"{name:>7}" for name in names)]
    for kind in kinds:
        values = (metrics.get(f"{kind}/{name}") for name in names)
        lines.append(f"{kind:<5} " + " ".join("      –" if v is None else f"{v:7.4f}" for v in values))
    return "\n".join(lines)
