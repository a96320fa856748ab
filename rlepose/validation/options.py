"""Options of validation."""

from dataclasses import dataclass
from typing import Literal

from rlepose.options import option


@dataclass(frozen=True)
class EvalConfig:
    """How predictions are evaluated."""

    batch_size: int = option(64, "persons per step on each device", low=1)
    flip_test: bool = option(True, "average the predictions for the crop and the mirrored crop")
    nms_threshold: float = option(
        0.9, "OKS above which the pose with the lower score is dropped, for detected boxes", above=0
    )
    backend: Literal["numpy", "pycocotools"] = option(
        "numpy",
        "implementation of COCO's table: numpy, the project's own, or pycocotools, the reference, about thirty times "
        "slower; equal to 1e-12 on random sets and on real files (tests/evaluation/test_keypoint_ap.py)",
    )
    pck_reference: Literal["torso", "head", "box"] = option(
        "box",
        "reference length of PCK: left shoulder to right hip, neck to head top, or the longer side of the person's "
        "box; with box, PCK is only computed if every image has one person",
    )
    nme_reference: Literal["box", "area"] | tuple[str, str] | None = option(
        None,
        "reference length of NME: the diagonal of the annotated box, the square root of the annotated area, or the "
        "distance between two joints, given by name (docs/metrics.md); null: no NME",
    )
    pictures: int = option(8, "number of validation persons to draw in TensorBoard and in the results folder", low=0)
