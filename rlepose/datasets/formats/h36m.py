"""Read Human3.6M (Ionescu et al., PAMI 2014) from the JSON files that the RLE authors and others distribute.

A file has `images` and `annotations`; each annotation has its image_id, bbox, keypoints_world (17 joints, mm) and
cam_param (R, t, f, c). The picture's file name contains subject, action, take and camera.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.json_file import read_json
from rlepose.datasets.persons3d import Person3DTable, persons_from_joints
from rlepose.errors import InputError
from rlepose.pose.camera import project, world_to_camera
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import H36M, H36M_ROOT

log = logging.getLogger(__name__)

METRIC_JOINTS = tuple(range(17))  # all except Thorax

# By the number in a picture's name. The last two only occur in the project's drawn data set.
ACTIONS = {
    2: "Directions",
    3: "Discussion",
    4: "Eating",
    5: "Greeting",
    6: "Phoning",
    7: "Posing",
    8: "Purchases",
    9: "Sitting",
    10: "SittingDown",
    11: "Smoking",
    12: "Photo",
    13: "Waiting",
    14: "Walking",
    15: "WalkDog",
    16: "WalkTogether",
    17: "Reaching",
    18: "Lying",
}
# Takes whose labels are misaligned with the pictures; the authors' code skips them, too.
DAMAGED = ("s_09_act_05_subact_02", "s_09_act_10_subact_02", "s_09_act_13_subact_01")

_NAME = re.compile(r"s_(\d+)_act_(\d+)_subact_(\d+)_ca_(\d+)")
_LARGEST_DISAGREEMENT_PX = 5.0
_SHOULDERS = [H36M.names.index("L_Shoulder"), H36M.names.index("R_Shoulder")]
_CAMERA_SHAPES = {"R": (3, 3), "t": (3,), "f": (2,), "c": (2,)}


def persons_from_h36m(path: str | Path, image_root: str | Path) -> Person3DTable:
    """Return the persons of a file, with the skeleton H36M: the 17 joints and Thorax, the middle of the shoulders.

    Damaged takes are skipped. As in the authors' code, every joint counts as visible; for 2-D use, a joint outside its
    picture is unlabelled. InputError for a missing or invalid camera, invalid numbers, and joints behind the camera.
    The number of persons whose labels and camera disagree is logged; InputError if it is more than half of them.
    """
    path = Path(path)
    images, annotations, tags = _entries(path)
    world = _stack(path, annotations, "keypoints_world", (17, 3))
    camera = {name: _stack(path, annotations, f"cam_param.{name}", shape) for name, shape in _CAMERA_SHAPES.items()}
    _check_cameras(path, annotations, camera["R"], camera["f"])
    joints = world_to_camera(with_thorax(world), camera["R"], camera["t"])
    behind = np.flatnonzero((joints[..., 2] <= 0).any(axis=1))
    if len(behind):
        raise InputError(
            f"{path}: {len(behind)} persons have joints behind their camera, first in annotation "
            f"{annotations[behind[0]].get('id')}; check cam_param and keypoints_world (mm, camera = R (x − t))"
        )
    boxes = _stack(path, annotations, "bbox", (4,))
    _check_agreement(path, annotations, project(joints, camera["f"], camera["c"]), boxes)
    return persons_from_joints(
        joints,
        root=H36M_ROOT,
        focal=camera["f"],
        principal=camera["c"],
        bbox_xywh=boxes,
        subject=tags[:, 0],
        action=[ACTIONS.get(number, f"act_{number:02d}") for number in tags[:, 1]],
        image_root=image_root,
        image_files=[image["file_name"] for image in images],
        image_size_wh=[(image["width"], image["height"]) for image in images],
        ids=[image["id"] for image in images],
    )


def with_thorax(joints: Floats) -> Floats:
    """Append the middle of the shoulders: 17 joints (…, 17, 3) -> (…, 18, 3)."""
    return np.concatenate([joints, joints[..., _SHOULDERS, :].mean(axis=-2, keepdims=True)], axis=-2)


def _entries(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], NDArray[np.int64]]:
    """Return pictures and their annotations in parallel, without damaged takes, and (subject, action): (N, 2)."""
    tree = read_json(path, "annotation file")
    for key in ("images", "annotations"):
        if not isinstance(tree, dict) or not isinstance(tree.get(key), list):
            raise InputError(f"{path}: no list '{key}'; expected the layout of Sample_*_Human36M_protocol_2.json")
        if not all(isinstance(entry, dict) and isinstance(entry.get("id"), int) for entry in tree[key]):
            raise InputError(f"{path}: {key}: expected objects with a whole number as 'id'")
    by_id = {image["id"]: image for image in tree["images"]}
    images, annotations, tags = [], [], []
    for annotation in tree["annotations"]:
        image = by_id.get(annotation.get("image_id"))
        if image is None:
            raise InputError(
                f"{path}: annotation {annotation['id']}: no picture {annotation.get('image_id')!r} in 'images'"
            )
        name = image.get("file_name")
        match = _NAME.search(name) if isinstance(name, str) else None
        if match is None or not all(
            isinstance(image.get(side), int) and image[side] > 0 for side in ("width", "height")
        ):
            raise InputError(
                f"{path}: image {image['id']}: expected width, height and a file_name like "
                f"s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg, got {image}"
            )
        if not name.rpartition("/")[2].startswith(DAMAGED):
            images.append(image)
            annotations.append(annotation)
            tags.append((int(match[1]), int(match[2])))
    log.info(
        "%s: %d persons; skipped %d persons of damaged takes", path, len(images), len(tree["annotations"]) - len(images)
    )
    if not images:
        raise InputError(f"{path}: no persons; check the file")
    return images, annotations, np.array(tags, np.int64)


def _stack(path: Path, annotations: Sequence[dict[str, Any]], key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the values of a dotted key of all annotations: (N, *shape)."""
    values = [_value(annotation, key) for annotation in annotations]
    try:
        stacked = np.array(values, float)
    except (ValueError, TypeError):
        stacked = np.empty(0)
    if stacked.shape == (len(values), *shape) and np.isfinite(stacked).all():
        return stacked
    wanted = " × ".join(map(str, shape))
    for annotation, value in zip(annotations, values, strict=True):
        try:
            good = np.shape(value) == shape and np.isfinite(np.array(value, float)).all()
        except (ValueError, TypeError):
            good = False
        if not good:
            raise InputError(
                f"{path}: annotation {annotation['id']}: {key}: expected {wanted} finite numbers, got "
                f"{'nothing' if value is None else value}"
            )
    raise AssertionError("numbers that stack one by one stack together")


def _value(annotation: dict[str, Any], key: str) -> Any:
    value: Any = annotation
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _check_cameras(path: Path, annotations: Sequence[dict[str, Any]], rotation: Floats, focal: Floats) -> None:
    straight = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2)) < 1e-3
    for good, key, meaning in (
        (straight & (np.linalg.det(rotation) > 0), "R", "a rotation"),
        ((focal > 0).all(axis=1), "f", "focal lengths above 0 px"),
    ):
        if not good.all():
            annotation = annotations[int(np.argmin(good))]
            raise InputError(
                f"{path}: annotation {annotation['id']}: cam_param.{key}: expected {meaning}, got "
                f"{annotation['cam_param'][key]}"
            )


def _check_agreement(path: Path, annotations: Sequence[dict[str, Any]], keypoints: Floats, boxes: Floats) -> None:
    """Check that projected joints agree with the file: with keypoints_img if it is there, else with bbox."""
    if "keypoints_img" in annotations[0]:
        expected = _stack(path, annotations, "keypoints_img", (17, 2))
        away = np.linalg.norm(keypoints[:, :17] - expected, axis=-1).max(axis=1)
        where = "keypoints_img"
    else:
        root = keypoints[:, H36M_ROOT]
        away = np.abs(root - np.clip(root, boxes[:, :2], boxes[:, :2] + boxes[:, 2:])).max(axis=1)
        where = "the position of their pelvis inside bbox"
    report_disagreement(path, [annotation["id"] for annotation in annotations], away, where)


def report_disagreement(path: Path, ids: Sequence[Any], away_px: Floats, where: str) -> None:
    """Log how many persons' projections are more than 5 px from `where`; InputError if it is more than half."""
    wrong = np.flatnonzero(away_px > _LARGEST_DISAGREEMENT_PX)
    if not len(wrong):
        return
    message = (
        f"{path}: the projections of {len(wrong)} of {len(away_px)} persons are more than {_LARGEST_DISAGREEMENT_PX:g} "
        f"px from {where}, first {ids[wrong[0]]} by {away_px[wrong[0]]:.0f} px"
    )
    if len(wrong) > len(away_px) / 2:
        raise InputError(f"{message}; check that cameras and labels belong together")
    log.warning("%s", message)
