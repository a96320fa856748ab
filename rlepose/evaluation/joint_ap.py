"""How well each joint is found, alone."""

import dataclasses

import numpy as np

from rlepose.evaluation.keypoint_ap import keypoint_ap
from rlepose.evaluation.results import CocoResults
from rlepose.evaluation.truth import CocoTruth
from rlepose.geometry import Floats


def joint_ap(truth: CocoTruth, results: CocoResults, oks_sigmas: Floats) -> Floats:
    """COCO's AP of each joint: (K,) in [0, 1], NaN where it has no label.

    As if the other joints had no labels, with the poses ranked by this joint's score: so it tells, too, whether the
    model knows which of these joints it has found.
    """
    values = []
    for joint in range(len(oks_sigmas)):
        alone = np.zeros_like(truth.labelled)
        alone[:, joint] = truth.labelled[:, joint]
        ranked = dataclasses.replace(results, scores=results.joints[:, joint, 2])
        values.append(keypoint_ap(dataclasses.replace(truth, labelled=alone), ranked, oks_sigmas)[0])
    return np.array(values)
