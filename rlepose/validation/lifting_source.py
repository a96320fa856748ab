"""Lift the labelled joints of a table with a trained lifting network, over all ranks."""

import numpy as np
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.datasets.lifting_codec import LIFTED, labelled_inputs
from rlepose.datasets.persons3d import Person3DTable
from rlepose.pose.camera import project
from rlepose.pose.codec import DEPTH_UNIT_MM, joint_scores
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import H36M_ROOT
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.trained_lifter import TrainedLifter


class LiftingSource:
    """Poses of a table's persons, lifted from their labelled joints.

    A lifting network predicts joints relative to the root. Here, poses are their projections by the person's camera,
    with the root at its labelled position, so that the same evaluator judges poses from pictures and lifted poses.
    """

    def __init__(self, config: Config, table: Person3DTable, ranks: Ranks) -> None:
        self.config = config
        self.table = table
        self.ranks = ranks
        self._inputs = labelled_inputs(table)

    def predict(self, model: TrainedLifter, batches: int | None = None) -> Poses:
        """Return poses of all persons, gathered from all ranks. Collective: every rank must call.

        batches: predict only so many on each rank; the persons of all others are not valid.
        """
        model.network.eval()
        ranks, size = self.ranks, self.config.eval.batch_size
        persons = np.arange(ranks.rank, len(self.table), ranks.world_size)
        parts = [persons[start : start + size] for start in range(0, len(persons), size)]
        shape = (len(self.table), len(METRIC_JOINTS), 3)
        joints, scores, valid = np.zeros(shape), np.ones(shape[:2]), np.zeros(len(self.table), bool)
        sigma: Floats | None = None
        outputs = []
        for rows in parts[:batches]:
            output = model.predict(self._inputs[rows].to(ranks.device))
            outputs.append((rows, joint_scores(output).cpu().numpy(), *model.in_space(output)))
        for rows, of_lifted, of_joints, of_sigma in (output for of_rank in ranks.gather(outputs) for output in of_rank):
            joints[rows], valid[rows] = of_joints, True
            scores[np.ix_(rows, LIFTED)] = of_lifted
            if of_sigma is not None:
                sigma = np.zeros(shape) if sigma is None else sigma
                sigma[rows] = of_sigma
        return self._seen_by_cameras(joints, sigma, scores, valid)

    def _seen_by_cameras(self, joints: Floats, sigma: Floats | None, scores: Floats, valid: NDArray[np.bool_]) -> Poses:
        """Project joints and sigma (N, 17, 3) mm relative to the root -> px, px and mm. scores: (N, 17)."""
        table = self.table
        px_a_mm = table.focal / table.root_depth[:, None]
        in_camera = joints + table.joints_mm()[:, [H36M_ROOT]]
        pixels = project(in_camera, table.focal, table.principal)
        if sigma is not None:
            sigma = sigma * np.pad(px_a_mm, ((0, 0), (0, 1)), constant_values=1)[:, None]
        return Poses(
            np.concatenate([pixels, joints[..., 2:]], axis=-1),
            sigma,
            scores,
            valid,
            image_ids=table.person_image_ids(),
            category_ids=table.category_ids,
            box_score=table.box_score,
            frame_wh=DEPTH_UNIT_MM * px_a_mm,
            person_ids=table.person_ids,
        )
