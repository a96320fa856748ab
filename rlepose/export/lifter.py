"""The lifting network for export: from joints on the image plane to final joints in mm."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlepose.datasets.lifting_codec import LIFTED, inputs_on_plane, mirror_inputs, mirror_output, with_root
from rlepose.errors import InputError
from rlepose.export.network import ExportedModule
from rlepose.losses.criterion import SMALLEST_SIGMA
from rlepose.pose.codec import DEPTH_UNIT_MM, average_outputs
from rlepose.pose.geometry import Floats
from rlepose.runtime.trained_lifter import TrainedLifter


class ExportedLifter(ExportedModule):
    """A trained lifter with the named, final outputs of `Lifter.predict`.

    forward: keypoints (B, 17, 2) float32, (px − principal point) / focal length -> joints_mm, std_mm (B, 17, 3) mm;
    only joints_mm if there is no sigma. InputError for an isotonic recalibration.
    """

    length_unit = "mm"
    network_unit = DEPTH_UNIT_MM
    std_a_sigma: Tensor

    def __init__(self, lifter: TrainedLifter) -> None:
        super().__init__()
        recalibration = lifter.recalibration
        if recalibration is not None and recalibration.method == "isotonic":
            raise InputError("an isotonic recalibration cannot be exported; recalibrate with scale or joint_scale")
        self.network = lifter.network
        self._mirrored = lifter.config.eval.flip_test
        self._gives_std = lifter.gives_sigma
        factor = lifter.spread[list(LIFTED)]
        if recalibration is not None:
            factor = recalibration.apply(factor)
        self.register_buffer("std_a_sigma", torch.from_numpy(factor).float())

    def forward(self, keypoints: Tensor) -> dict[str, Tensor]:
        inputs = inputs_on_plane(keypoints)
        output = self.network(inputs)
        if self._mirrored:
            output = average_outputs(output, mirror_output(self.network(mirror_inputs(inputs))))
        values = {"joints_mm": with_root(output.mu * DEPTH_UNIT_MM)}
        if self._gives_std:
            sigma = torch.ones_like(output.mu) if output.sigma is None else output.sigma.clamp(min=SMALLEST_SIGMA)
            values["std_mm"] = with_root(sigma * self.std_a_sigma * DEPTH_UNIT_MM)
        return values

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("joints_mm", "std_mm") if self._gives_std else ("joints_mm",)

    def distances(self, found: dict[str, Floats], expected: dict[str, Floats], given: NDArray[Any]) -> Floats:
        return np.linalg.norm(found["joints_mm"] - expected["joints_mm"], axis=-1)
