"""Lift the poses of a file to 3-D: COCO's results format, with 3-D joints added to each entry."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.datasets.formats.json_file import read_json
from rlepose.errors import InputError
from rlepose.evaluation.results import write_json
from rlepose.inference.lifter import Lifter
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import H36M

log = logging.getLogger(__name__)

_DECIMALS = 2
_LARGEST = 1e9  # px; JSON has whole numbers that no float holds
_COUNTS = (len(METRIC_JOINTS), len(H36M))


def lift_file(lifter: Lifter, poses: Path, out: Path, focal: Sequence[float], principal: Sequence[float]) -> int:
    """Lift all poses of a file, write them to `out`, and return their number.

    poses: JSON list in COCO's results format, with Human3.6M's 17 joints or with Thorax as the 18th. Each entry of
    `out` is the entry of `poses` with `joints_mm`, 17 times x, y, z relative to the root, and `std_mm`, their standard
    deviations or null. focal, principal: of the camera of all pictures, as for `Lifter.predict`.
    InputError for a file of another format.
    """
    if out.resolve() == poses.resolve():
        raise InputError(f"--out: {out} is also the input file; choose another name")
    entries = read_json(poses, "file of poses", "check the path")
    if not isinstance(entries, list):
        raise InputError(f"{poses}: expected a list in COCO's results format, got {type(entries).__name__}")
    keypoints = np.array([_keypoints(poses, number, entry) for number, entry in enumerate(entries)], float)
    joints, std = lifter.predict(keypoints.reshape(-1, len(METRIC_JOINTS), 2), focal, principal)
    lifted = [
        entry | {"joints_mm": _rounded(joints[row]), "std_mm": None if std is None else _rounded(std[row])}
        for row, entry in enumerate(entries)
    ]
    write_json(out, lifted)
    log.info("lifted          %d poses, in %s", len(lifted), out)
    return len(lifted)


def _keypoints(path: Path, number: int, entry: Any) -> Floats:
    """Return the 17 joints (17, 2) of an entry."""
    values: Any = entry.get("keypoints") if isinstance(entry, dict) else None
    good = isinstance(values, list) and all(
        isinstance(value, int | float) and abs(value) < _LARGEST for value in values
    )
    if not good or len(values) not in [3 * count for count in _COUNTS]:
        got = f"{len(values)} numbers" if good else "something else"
        raise InputError(
            f"{path}: entry {number}: keypoints: expected x, y and score of Human3.6M's {_COUNTS[0]} or {_COUNTS[1]} "
            f"joints, got {got}; lift poses of a model with these joints"
        )
    return np.array(values, float).reshape(-1, 3)[list(METRIC_JOINTS), :2]


def _rounded(values: Floats) -> list[list[float]]:
    return np.round(values, _DECIMALS).tolist()
