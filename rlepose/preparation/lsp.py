"""Convert joints.mat of Leeds Sports Pose to COCO's keypoint layout.

Leeds Sports Pose (Johnson and Everingham, BMVC 2010): `joints` 3 × 14 × 2000, for each joint x, y and whether it is
hidden; the first 1,000 pictures are for training, the others for testing. Its extension (CVPR 2011): 14 × 3 × 10,000,
for each joint x, y and whether it has a label; all are for training.

Neither has boxes: here, a person's box is 1.2 times the bounding box of the labels, and the area 0.53 times that of the
box, as in CrowdPose. Coordinates are as in the file.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlepose.errors import InputError, first_line
from rlepose.evaluation.results import write_json
from rlepose.pose.geometry import Floats, clip_boxes

JOINTS = [
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
]
_CHAINS = ((1, 2, 3, 4, 5, 6), (7, 8, 9, 10, 11, 12), (9, 13), (10, 13, 14))
_BONES = [bone for chain in _CHAINS for bone in pairwise(chain)]
_BOX, _AREA = 1.2, 0.53
_TRAINED_ON = 1000

# The pictures in the new file, counted from 0.
LSP_SPLITS: Mapping[str, slice] = {
    "lsp_train": slice(0, _TRAINED_ON),
    "lsp_test": slice(_TRAINED_ON, None),
    "lspet_train": slice(None),
}


def convert_lsp(source: Path, target: Path, pictures: slice) -> None:
    """Write `target` for some of the pictures in `images/` beside joints.mat; ids are their numbers from 1.

    Raises InputError if `source` is not such a file, or if a picture is missing.
    """
    joints, digits = _read(source)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for row in range(len(joints))[pictures]:
        number, name = row + 1, f"im{row + 1:0{digits}d}.jpg"
        width, height = _size(source.parent / "images" / name)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        person = joints[row]
        labelled = person[:, 2] > 0
        if labelled.any():
            box = _box(person[labelled, :2], (width, height))
            annotations.append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": box.tolist(),
                    "area": round(_AREA * float(box[2] * box[3]), 2),
                    "keypoints": np.where(labelled[:, None], person, 0).ravel().tolist(),
                    "num_keypoints": int(labelled.sum()),
                }
            )
    category = {"id": 1, "name": "person", "keypoints": JOINTS, "skeleton": _BONES}
    write_json(target, {"images": images, "annotations": annotations, "categories": [category]})


def _read(path: Path) -> tuple[NDArray[np.float64], int]:
    """Return joints (N, 14, 3) with COCO's visibility, and the number of digits in the pictures' names."""
    from scipy.io import loadmat  # the import takes half a second
    from scipy.io.matlab import MatReadError

    try:
        joints = np.asarray(loadmat(path)["joints"], float)
    # SciPy raises NotImplementedError for files of MATLAB 7.3 and newer.
    except (KeyError, TypeError, ValueError, NotImplementedError, MatReadError) as error:
        raise InputError(
            f"{path}: not the joints.mat of Leeds Sports Pose ({first_line(error)}); download it again"
        ) from error
    if joints.ndim == 3 and joints.shape[:2] == (3, 14):
        x, y, hidden = joints
        visible, digits = np.where(hidden > 0, 1, 2), 4
    elif joints.ndim == 3 and joints.shape[:2] == (14, 3):
        x, y, labelled = joints.transpose(1, 0, 2)
        visible, digits = np.where(labelled > 0, 2, 0), 5
    else:
        raise InputError(
            f"{path}: 'joints' is {joints.shape}, expected 3 × 14 × N or 14 × 3 × N; check that this is the right file"
        )
    if not np.isfinite(joints).all():
        raise InputError(f"{path}: 'joints' contains NaN or infinity; download it again")
    return np.stack([x.round(2), y.round(2), visible], axis=-1).transpose(1, 0, 2), digits


def _box(points: Floats, size_wh: tuple[int, int]) -> Floats:
    """Return x, y, width, height of the enlarged box around points (n, 2), clipped at the picture's border."""
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.maximum((high - low) * _BOX, 1)
    box = np.concatenate([(low + high - size) / 2, size])
    return clip_boxes(box, size_wh).round(2)


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as picture:  # reads only the header
            return picture.size
    except OSError as error:
        raise InputError(
            f"{path}: cannot read the picture ({first_line(error)}); download the data set again"
        ) from error
