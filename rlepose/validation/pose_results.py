"""Convert poses to COCO results: the joints of each category, ranked, and deduplicated for detected boxes."""

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.category_groups import CategoryGroup
from rlepose.evaluation.oks import oks_nms
from rlepose.evaluation.results import CocoResults, coco_results, pose_scores
from rlepose.evaluation.slices import area_joints
from rlepose.pose.geometry import Floats
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import Skeleton


def results_of(poses: Poses, group: CategoryGroup, skeleton: Skeleton, box_score: Floats | None = None) -> CocoResults:
    """Return COCO results of the valid poses of a group's categories, with the group's joints.

    box_score (N,): the detector's, for the ranking.
    """
    rows = _rows(poses, group)
    scores = poses.joint_scores[rows].take(group.joints, axis=1)
    return coco_results(
        poses.keypoints[rows].take(group.joints, axis=1),
        scores,
        pose_scores(scores, None if box_score is None else box_score[rows]),
        poses.image_ids[rows],
        group.category_ids[0],
        area_joints([skeleton.names[joint] for joint in group.joints]),
    )


def detected_results_of(poses: Poses, group: CategoryGroup, skeleton: Skeleton, nms_threshold: float) -> CocoResults:
    """Return the same for detected boxes, several of which may contain one person: rescored, after OKS-NMS."""
    results = results_of(poses, group, skeleton, poses.box_score)
    rows = _rows(poses, group)
    kept = oks_nms(
        poses.keypoints[rows].take(group.joints, axis=1),
        results.scores,
        np.prod(poses.frame_wh[rows], axis=1),
        poses.image_ids[rows],
        np.array(skeleton.oks_sigmas).take(group.joints),
        nms_threshold,
    )
    return results.select(kept)


def _rows(poses: Poses, group: CategoryGroup) -> NDArray[np.intp]:
    return np.flatnonzero(poses.valid & group.rows(poses.category_ids))
