"""How well each joint is found, alone."""

from dataclasses import replace

import numpy as np

from rlepose.evaluation.keypoint_ap import keypoint_ap
from rlepose.evaluation.results import CocoResults
from rlepose.evaluation.truth import CocoTruth
from rlepose.pose.geometry import Floats


def joint_ap(truth: CocoTruth, results: CocoResults, oks_sigmas: Floats) -> Floats:
    """COCO's AP of each joint: (K,) in [0, 1], NaN where it has no label.

    As if a body had no other joint, ranked by this joint's score: so it shows, too, whether the model knows which of
    these joints it has found. At a person without this label a joint counts neither way, as in COCO's evaluation.
    """
    values = []
    for joint in range(len(oks_sigmas)):
        alone = [joint]
        labels = truth.with_joints(alone)
        found = replace(results, joints=results.joints[:, alone], scores=results.joints[:, joint, 2])
        values.append(keypoint_ap(labels, found, oks_sigmas[alone])[0])
    return np.array(values)
