"""Read MPII Human Pose (Andriluka et al., CVPR 2014) from COCO-like JSON, for 3-D training together with Human3.6M."""

import dataclasses
from pathlib import Path

import numpy as np

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.persons import PersonTable
from rlepose.pose.skeleton import H36M, MPII

# The MPII joint for each of Human3.6M's joints; Torso and Nose have none.
MPII_OF_H36M = (6, 2, 1, 0, 3, 4, 5, None, 8, None, 9, 13, 14, 15, 12, 11, 10, 7)
assert len(MPII_OF_H36M) == len(H36M)


def mpii_file(path: str | Path) -> CocoFile:
    """Return an MPII file with the project's joint names; the distributed files misspell some ('throax')."""
    return CocoFile(path, joints=MPII)


def persons_as_h36m(path: str | Path, image_root: str | Path) -> PersonTable:
    """Return MPII's persons with Human3.6M's 18 joints, in 2-D; Torso and Nose are unlabelled."""
    table = persons_from_annotations(mpii_file(path), image_root)
    sources = [0 if joint is None else joint for joint in MPII_OF_H36M]
    known = np.array([joint is not None for joint in MPII_OF_H36M])
    return dataclasses.replace(
        table,
        keypoints=np.where(known[:, None], table.keypoints[:, sources], 0).astype(np.float32),
        visible=np.where(known, table.visible[:, sources], 0).astype(np.uint8),
    )
