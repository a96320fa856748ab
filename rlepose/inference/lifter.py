"""Lift 2-D poses to 3-D, with uncertainty."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from rlepose.config.reading import with_overrides
from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.datasets.lifting_codec import inputs_of
from rlepose.errors import InputError
from rlepose.evaluation.results import refuse_nonfinite
from rlepose.inference.arguments import checkpoint_to_open
from rlepose.pose.geometry import Floats
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import choose_device
from rlepose.runtime.trained_lifter import open_lifter

# Means over Human3.6M's four cameras, px.
H36M_FOCAL = (1147.0, 1146.0)
H36M_PRINCIPAL = (514.0, 507.0)

_BATCH = 4096


class Lifter:
    """Lift 2-D poses to 3-D with a checkpoint of the task `lifting`.

    Raises InputError for an invalid argument and for a checkpoint of another task.

    Example::

        lifter = Lifter("exp/h36m_lifting_rle/checkpoints/best.pt")
        joints_mm, std_mm = lifter.predict(keypoints, focal=(1147, 1146), principal=(514, 507))

    Args:
        checkpoint: checkpoint file that training wrote.
        device: auto, cuda or cpu.
        overrides: 'section.key=value', as for `--set`, for example eval.flip_test=false.
    """

    def __init__(self, checkpoint: str | Path, device: str = "auto", overrides: Sequence[str] = ()) -> None:
        path = checkpoint_to_open(checkpoint, overrides)
        loaded = load_checkpoint(path)
        self.config = with_overrides(loaded.config, [f"system.device={device}", *overrides])
        self._model = open_lifter(path, self.config, loaded, choose_device(self.config.system.device))

    def predict(self, keypoints: ArrayLike, focal: ArrayLike, principal: ArrayLike) -> tuple[Floats, Floats | None]:
        """Return joints relative to the root, and a standard deviation for each coordinate.

        Raises InputError for arrays of other shapes, for NaN and infinity, and for a focal length of 0 or less.

        Args:
            keypoints: (N, 17, 2) px in the picture, Human3.6M's joints in the order of `rlepose.pose.skeleton.H36M`.
            focal: px, focal length in x and y: a number, (2,), or (N, 2) with one row per pose.
            principal: px, the principal point: (2,), or (N, 2) with one row per pose.

        Returns:
            joints (N, 17, 3) mm in the camera's frame, x right, y down, z away from the camera, 0 for the root; and
            standard deviations of the same shape, or None if the loss learns no sigma.
        """
        points = _finite("keypoints", keypoints)
        if points.ndim != 3 or points.shape[1:] != (len(METRIC_JOINTS), 2):
            raise InputError(f"keypoints: expected (N, {len(METRIC_JOINTS)}, 2) px, got shape {points.shape}")
        cameras = []
        for name, given in (("focal", focal), ("principal", principal)):
            values = _finite(name, given)
            try:
                cameras.append(np.broadcast_to(values, (len(points), 2)))
            except ValueError:
                raise InputError(
                    f"{name}: expected (2,) px, or (2,) for each of the {len(points)} poses, got shape {values.shape}"
                ) from None
        if not (cameras[0] > 0).all():
            raise InputError(f"focal: expected focal lengths above 0 px, got {cameras[0].min():g}")
        inputs = inputs_of(points, *cameras)
        joints, sigmas = [], []
        for part in inputs.split(_BATCH):  # type: ignore[no-untyped-call]
            in_space, sigma = self._model.in_space(self._model.predict(part.to(self._model.device)))
            joints.append(in_space)
            sigmas.append(sigma)
        refuse_nonfinite(*joints)
        known = [sigma for sigma in sigmas if sigma is not None]
        return np.concatenate(joints), np.concatenate(known) * self._model.spread if known else None


def _finite(name: str, given: ArrayLike) -> Floats:
    try:
        values = np.asarray(given, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers in px, got {type(given).__name__} ({error})") from error
    if not np.isfinite(values).all():
        raise InputError(f"{name}: expected finite numbers in px, got NaN or infinity")
    return values
