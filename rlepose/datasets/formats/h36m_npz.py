"""Read Human3.6M from `h36m_train.npz` and `h36m_test.npz`, as written by mmpose's preprocess_h36m.py.

imgname (N,), S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg: subject, action and take, camera, frame;
center (N, 2) px and scale (N,), the square around the joints: side × 1.2 / 200; part (N, 17, 3), px and a 1;
S (N, 17, 4), metres in the camera's frame, and a 1. Joints are in this project's order.
"""

import re
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.h36m import persons_from_h36m, report_disagreement, with_thorax
from rlepose.datasets.persons3d import Person3DTable, persons_from_joints
from rlepose.errors import InputError
from rlepose.pose.camera import project
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import H36M_ROOT

_NAME = re.compile(r"S(\d+)_(.+)\.(\d+)_(\d+)\.\w+$")
# Width and height of the videos by camera.
_SIZES = {"54138969": (1000, 1002), "55011271": (1000, 1000), "58860488": (1000, 1000), "60457274": (1000, 1002)}
_SHAPES = {"center": (2,), "scale": (), "part": (17, 3), "S": (17, 4)}
_BOX_GROWTH = 1.2


def read_h36m(path: str | Path, image_root: str | Path) -> Person3DTable:
    """Return the persons of a JSON file or of a converted .npz file, depending on the suffix."""
    return (persons_from_h36m_npz if Path(path).suffix == ".npz" else persons_from_h36m)(path, image_root)


def persons_from_h36m_npz(path: str | Path, image_root: str | Path) -> Person3DTable:
    """Return the persons of a converted file, with the skeleton H36M.

    The file has no cameras: focal length and principal point are fitted to its pixels and metres, for each camera, and
    keypoints are the projections with the fitted camera: without lens distortion, as in the JSON files. Damaged takes
    are not skipped, because the names do not identify them. InputError for a file of another format.
    """
    path = Path(path)
    arrays, names = _read(path)
    matches = [_NAME.search(str(name).rpartition("/")[2]) for name in names]
    unknown = [name for name, match in zip(names, matches, strict=True) if match is None or match[3] not in _SIZES]
    if unknown or not len(names):
        raise InputError(
            f"{path}: imgname: expected names like S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg, "
            f"got {unknown[0] if unknown else 'none'}"
        )
    tags = [match.groups() for match in matches if match is not None]
    joints = with_thorax(arrays["S"][..., :3] * 1000)
    if (joints[..., 2] <= 0).any():
        raise InputError(f"{path}: S: some joints are behind the camera; expected metres in the camera's frame")
    focal, principal = _fit_cameras(joints[:, :17], arrays["part"][..., :2], np.array([tag[2] for tag in tags]))
    away = np.linalg.norm(project(joints[:, :17], focal, principal) - arrays["part"][..., :2], axis=-1).max(axis=1)
    report_disagreement(path, list(names), away, "the pixels in 'part'")
    side = arrays["scale"][:, None] * 200 / _BOX_GROWTH
    return persons_from_joints(
        joints,
        root=H36M_ROOT,
        focal=focal,
        principal=principal,
        bbox_xywh=np.concatenate([arrays["center"] - side / 2, side, side], axis=1),
        subject=[int(tag[0]) for tag in tags],
        action=[re.sub(r"_\d+$", "", tag[1]) for tag in tags],
        image_root=image_root,
        image_files=names,
        image_size_wh=[_SIZES[tag[2]] for tag in tags],
        ids=np.arange(len(names)),
    )


def _read(path: Path) -> tuple[dict[str, Floats], NDArray[np.str_]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in ("imgname", *_SHAPES) if name in file}
    except FileNotFoundError:
        raise InputError(
            f"{path}: the annotation file does not exist; check data.root and the paths below it"
        ) from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not an .npz file of plain arrays ({error}); convert the data set again") from error
    for name, shape in _SHAPES.items():
        values = found.get(name)
        wanted = (len(found.get("imgname", ())), *shape)
        if values is None or values.shape != wanted or not np.isfinite(values).all():
            raise InputError(
                f"{path}: {name}: expected finite numbers of shape {wanted}, got "
                f"{'nothing' if values is None else values.shape}; check that preprocess_h36m.py wrote this file"
            )
    return {name: found[name].astype(float) for name in _SHAPES}, found["imgname"].astype(np.str_)


def _fit_cameras(joints: Floats, pixels: Floats, camera: NDArray[np.str_]) -> tuple[Floats, Floats]:
    """Fit pixel = focal · x / z + principal by least squares for each camera: (N, 2), (N, 2) px."""
    focal, principal = np.empty((2, len(joints), 2))
    slope = joints[..., :2] / joints[..., 2:]
    for name in np.unique(camera):
        mine = camera == name
        for axis in range(2):
            line = np.polyfit(slope[mine, :, axis].ravel(), pixels[mine, :, axis].ravel(), 1)
            focal[mine, axis], principal[mine, axis] = line
    return focal, principal
