"""Check that an exported file computes the same as the model."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.export.formats import Run
from rlepose.export.network import ExportedModule
from rlepose.pose.geometry import Floats

TOLERANCE = 1e-4  # for every output, in network units: 0.02 px in a crop of 192 px, or 0.2 mm


@dataclass(frozen=True)
class Difference:
    """Differences between the outputs of a model and of its exported file.

    largest: largest absolute difference of each output, network units.
    apart:   distance of each joint from the model's, in `unit`: (N, K).
    unit:    crop pixels, in the image plane, or mm.
    """

    largest: dict[str, float]
    apart: Floats
    unit: str

    @property
    def tolerable(self) -> bool:
        return all(value <= TOLERANCE for value in self.largest.values())

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value:.1e}" for name, value in self.largest.items())
        return (
            f"largest difference {values}; distance of joints in {self.unit}: median {np.median(self.apart):.2g}, "
            f"maximum {self.apart.max():.2g}"
        )


@torch.no_grad()
def difference(network: ExportedModule, run: Run, inputs: NDArray[Any]) -> Difference:
    """Compare outputs for N inputs of the network, in one batch and one alone: the file must accept any number."""
    expected = {name: value.numpy() for name, value in network(torch.from_numpy(inputs)).items()}
    found, alone = run(inputs), run(inputs[:1])
    largest = {}
    for name, value in expected.items():
        together = np.abs(found[name] - value).max()
        # np.maximum propagates NaN, max() does not
        largest[name] = float(np.maximum(together, np.abs(alone[name] - value[:1]).max())) / network.network_unit
    return Difference(largest, network.distances(found, expected, inputs), network.length_unit)
