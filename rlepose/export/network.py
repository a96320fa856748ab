"""The exported network: named outputs, and the precision of its backbone."""

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from rlepose.models.pose_model import PoseModel
from rlepose.pose.codec import joint_scores
from rlepose.pose.geometry import Floats


class ExportedModule(nn.Module, ABC):
    """A network for export: one input, and named outputs.

    length_unit: name of the unit of `distances`. network_unit: value of 1 network unit in the outputs.
    """

    length_unit: ClassVar[str]
    network_unit: ClassVar[float]

    @property
    @abstractmethod
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""

    @abstractmethod
    def distances(self, found: dict[str, Floats], expected: dict[str, Floats], given: NDArray[Any]) -> Floats:
        """Return the distances of joints, (N, K), between two outputs for the inputs `given`."""


class ExportedNetwork(ExportedModule):
    """A pose model with named outputs.

    forward: image (B, 3, H, W) RGB uint8 -> mu (B, K, D), sigma (B, K, D), score (B, K); mu and score for heatmaps;
    only mu if the model has no sigma, because the score would be constant.
    """

    length_unit = "crop pixels"
    network_unit = 1.0

    def __init__(self, model: PoseModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        output = self.model(image)
        values = {"mu": output.mu, "sigma": output.sigma, "score": joint_scores(output)}
        return {name: values[name] for name in self.output_names}

    @property
    def output_names(self) -> tuple[str, ...]:
        return self.model.head.outputs

    def distances(self, found: dict[str, Floats], expected: dict[str, Floats], given: NDArray[Any]) -> Floats:
        height, width = given.shape[2:]
        return np.linalg.norm((found["mu"] - expected["mu"])[..., :2] * [width, height], axis=-1)


def with_half_backbone(model: PoseModel) -> PoseModel:
    """Return a copy that normalises and extracts features in float16. The head stays in float32: the norm of 2,048
    features overflows float16, and mu would be rounded to a twentieth of a pixel."""
    model = copy.deepcopy(model)
    model.backbone.half()
    model.pixel_mean, model.pixel_std = model.pixel_mean.half(), model.pixel_std.half()
    return model
