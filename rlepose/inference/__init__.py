"""Trained models on any pictures: `Predictor`."""

from rlepose.inference.detector import Detector
from rlepose.inference.poses import PersonPose, PicturePoses, PoseDensity, coco_entries
from rlepose.inference.predictor import Predictor

__all__ = ["Detector", "PersonPose", "PicturePoses", "PoseDensity", "Predictor", "coco_entries"]
