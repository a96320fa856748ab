"""Options of validation."""

from dataclasses import dataclass
from typing import Literal

from rlepose.options import option


@dataclass(frozen=True)
class EvalConfig:
    """From predictions to numbers."""

    batch_size: int = option(64, "persons a step on each device", low=1)
    flip_test: bool = option(True, "average the predictions of the crop and of the mirrored crop")
    nms_threshold: float = option(0.9, "OKS above which the lower-scored of two detected poses is dropped", above=0)
    backend: Literal["numpy", "pycocotools"] = option(
        "numpy",
        "what computes COCO's table: the project's arrays or the reference, some thirty times slower; equal to 1e-12 "
        "on random sets and on real files (tests/evaluation/test_keypoint_ap.py)",
    )
    pck_reference: Literal["torso", "head", "box"] = option(
        "box",
        "length that PCK is relative to: left shoulder to right hip, neck to the head's top, or the longer side of the "
        "person's box; with box, PCK is given only where every picture has one person",
    )
    nme_reference: Literal["box", "area"] | tuple[str, str] | None = option(
        None,
        "length that NME is relative to: the diagonal of the person's annotated box, the square root of the annotated "
        "area, or the distance between two joints, as their names (docs/metrics.md); null: no NME",
    )
    pictures: int = option(8, "validation persons drawn into TensorBoard and the results folder", low=0)
