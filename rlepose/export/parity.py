"""Whether an exported file computes what the model does."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.export.formats import Run
from rlepose.export.network import ExportedModule
from rlepose.pose.geometry import Floats

TOLERANCE = 1e-4  # of every output, in network units: 0.02 pixels of a crop of 192, or 0.2 mm


@dataclass(frozen=True)
class Difference:
    """Between a model's outputs and its exported file's.

    largest: largest absolute difference of each output, network units.
    apart:   how far each joint lies from where the model puts it, in `unit`: (N, K).
    unit:    crop pixels, in the plane, or mm.
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
            f"largest difference {values}; joints lie {np.median(self.apart):.2g} {self.unit} apart in the median, "
            f"{self.apart.max():.2g} at most"
        )


@torch.no_grad()
def difference(network: ExportedModule, run: Run, inputs: NDArray[Any]) -> Difference:
    """On N inputs of the network: all in one batch, and one alone, since the file must take any number."""
    expected = {name: value.numpy() for name, value in network(torch.from_numpy(inputs)).items()}
    found, alone = run(inputs), run(inputs[:1])
    largest = {}
    for name, value in expected.items():
        together = np.abs(found[name] - value).max()
        # maximum, and not max(): NaN stays
        largest[name] = float(np.maximum(together, np.abs(alone[name] - value[:1]).max())) / network.network_unit
    return Difference(largest, network.distances(found, expected, inputs), network.length_unit)
