"""Whether an exported file computes what the model does."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.export.formats import Run
from rlepose.export.network import ExportedNetwork
from rlepose.pose.geometry import Floats

TOLERANCE = 1e-4  # of every output, in network units; in mu 0.02 pixels of a crop of 192


@dataclass(frozen=True)
class Difference:
    """Between a model's outputs and its exported file's.

    largest: largest absolute difference of each output, network units.
    pixels:  how far each joint lies in the plane from where the model puts it, crop pixels: (N, K).
    """

    largest: dict[str, float]
    pixels: Floats

    @property
    def tolerable(self) -> bool:
        return all(value <= TOLERANCE for value in self.largest.values())

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value:.1e}" for name, value in self.largest.items())
        return (
            f"largest difference {values}; joints lie {np.median(self.pixels):.2g} crop pixels apart in the median, "
            f"{self.pixels.max():.2g} at most"
        )


@torch.no_grad()
def difference(network: ExportedNetwork, run: Run, crops: NDArray[np.uint8]) -> Difference:
    """On crops (N, 3, H, W) RGB uint8: all in one batch, and one alone, since the file must take any number."""
    expected = {name: value.numpy() for name, value in network(torch.from_numpy(crops)).items()}
    found, alone = run(crops), run(crops[:1])
    largest = {}
    for name, value in expected.items():
        together = np.abs(found[name] - value).max()
        # maximum, and not max(): NaN stays
        largest[name] = float(np.maximum(together, np.abs(alone[name] - value[:1]).max()))
    height, width = crops.shape[2:]
    return Difference(largest, np.linalg.norm((found["mu"] - expected["mu"])[..., :2] * [width, height], axis=-1))
