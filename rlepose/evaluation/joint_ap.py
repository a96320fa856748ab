"""AP of individual joints."""

from dataclasses import replace

import numpy as np

from rlepose.evaluation.keypoint_ap import keypoint_ap
from rlepose.evaluation.results import CocoResults
from rlepose.evaluation.truth import CocoTruth
from rlepose.pose.geometry import Floats


def joint_ap(truth: CocoTruth, results: CocoResults, oks_sigmas: Floats) -> Floats:
    """Return COCO's AP of each joint: (K,) in [0, 1], NaN for a joint without labels.

    Computed as if the body had no other joint, ranked by the score of this joint, so it also measures whether the model
    knows which of these joints it has found. As in COCO's evaluation, unlabelled joints of a person are ignored.
    """
    values = []
    for joint in range(len(oks_sigmas)):
        alone = [joint]
        labels = truth.with_joints(alone)
        found = replace(results, joints=results.joints[:, alone], scores=results.joints[:, joint, 2])
        values.append(keypoint_ap(labels, found, oks_sigmas[alone])[0])
    return np.array(values)
