"""Predict poses in pictures and videos with a trained model: `Predictor`, `Lifter`."""

from rlepose.inference.boxes import PersonDetector
from rlepose.inference.detector import Detector
from rlepose.inference.lifter import Lifter
from rlepose.inference.poses import PersonPose, PicturePoses, coco_entries
from rlepose.inference.predictor import Predictor
from rlepose.inference.space import absolute_mm, limbs_of, relative_mm, root_depth_mm
from rlepose.losses.pose_density import PoseDensity

__all__ = [
    "Detector",
    "Lifter",
    "PersonDetector",
    "PersonPose",
    "PicturePoses",
    "PoseDensity",
    "Predictor",
    "absolute_mm",
    "coco_entries",
    "limbs_of",
    "relative_mm",
    "root_depth_mm",
]
