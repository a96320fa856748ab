"""Convert annotation files that are nearly in COCO's keypoint layout to that layout.

This way the package needs only one reader, and differences are resolved once, in a file that can be inspected.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rlepose.datasets.formats.coco_file import Pictures
from rlepose.datasets.formats.json_file import read_json
from rlepose.errors import InputError
from rlepose.evaluation.results import write_json
from rlepose.pose.joint_sets import CROWDPOSE, HALPE26, HAND, WHOLEBODY, JointSet

Annotation = dict[str, Any]

# CrowdPose's files have no areas. Its evaluation (crowdposetools, mmpose) uses this fraction of the box as the area.
_CROWDPOSE_AREA = 0.53

_OF_PICTURES = ("id", "file_name", "width", "height", "crowdIndex")


class Conversion(NamedTuple):
    """The category of the new file, and the conversion of one annotation."""

    category: str
    joints: JointSet
    convert: Callable[[Annotation], Iterator[Annotation]]


def convert_file(source: Path, target: Path, conversion: Conversion) -> None:
    """Write `target`; pictures and their ids are kept, annotations are numbered from 1.

    Raises InputError if `source` does not have the data set's layout.
    """
    tree = read_json(source, "annotation file", "check the path")
    pictures = Pictures(source, tree).images
    if not isinstance(tree.get("annotations"), list):
        raise InputError(f"{source}: no list 'annotations'; expected COCO's layout")
    annotations: list[Annotation] = []
    for number, annotation in enumerate(tree["annotations"]):
        try:
            annotations += conversion.convert(annotation)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{source}: annotations: entry {number} is not one of {len(conversion.joints.names)} joints of this "
                f"data set ({type(error).__name__}: {error}); check that this is the right file"
            ) from error
    for number, annotation in enumerate(annotations, 1):
        annotation |= {"id": number, "category_id": 1}
    names, bones, _ = conversion.joints
    category = {
        "id": 1,
        "name": conversion.category,
        "keypoints": names,
        "skeleton": [(i + 1, j + 1) for i, j in bones],
    }
    images = [{key: picture[key] for key in _OF_PICTURES if key in picture} for picture in pictures]
    write_json(target, {"images": images, "annotations": annotations, "categories": [category]})


def _person(annotation: Annotation, keypoints: list[float]) -> Annotation:
    person = {"image_id": annotation["image_id"], "bbox": annotation["bbox"]}
    person |= {key: value for key, value in annotation.items() if key in ("area", "iscrowd")}
    return person | {"keypoints": keypoints, "num_keypoints": sum(mark > 0 for mark in keypoints[2::3])}


def _joints(annotation: Annotation, key: str, count: int, valid: str | None = None) -> list[float]:
    """Return `count` times x, y, visibility; all 0 if `valid` is false. A score other than 1 also means visible."""
    if valid is not None and not annotation[valid]:
        return [0.0] * 3 * count
    values = [float(value) for value in annotation[key]]
    if len(values) < 3 * count:
        raise ValueError(f"{key} has {len(values)} values instead of {3 * count}")
    joints = []
    for x, y, mark in zip(*(values[axis : 3 * count : 3] for axis in range(3)), strict=True):
        joints += [x, y, 1.0 if mark == 1 else 2.0] if mark > 0 else [0.0, 0.0, 0.0]
    return joints


def _wholebody(annotation: Annotation) -> Iterator[Annotation]:
    yield _person(
        annotation,
        _joints(annotation, "keypoints", 17)
        + _joints(annotation, "foot_kpts", 6, "foot_valid")
        + _joints(annotation, "face_kpts", 68, "face_valid")
        + _joints(annotation, "lefthand_kpts", 21, "lefthand_valid")
        + _joints(annotation, "righthand_kpts", 21, "righthand_valid"),
    )


def _hands(annotation: Annotation) -> Iterator[Annotation]:
    """Yield left and right hands as separate persons; its area is the area of the box."""
    for side in ("lefthand", "righthand"):
        if annotation[f"{side}_valid"] and not annotation.get("iscrowd"):
            box = [float(value) for value in annotation[f"{side}_box"]]
            hand = {"image_id": annotation["image_id"], "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            yield _person(hand, _joints(annotation, f"{side}_kpts", 21))


def _halpe26(annotation: Annotation) -> Iterator[Annotation]:
    yield _person(annotation, _joints(annotation, "keypoints", 26))


def _crowdpose(annotation: Annotation) -> Iterator[Annotation]:
    _, _, width, height = annotation["bbox"]
    yield _person(annotation | {"area": _CROWDPOSE_AREA * width * height}, _joints(annotation, "keypoints", 14))


CONVERSIONS: Mapping[str, Conversion] = {
    "coco_wholebody": Conversion("person", WHOLEBODY, _wholebody),
    "coco_hands": Conversion("hand", HAND, _hands),
    "halpe26": Conversion("person", HALPE26, _halpe26),
    "crowdpose": Conversion("person", CROWDPOSE, _crowdpose),
}
