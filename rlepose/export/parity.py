"""Check that an exported file computes the same as the model."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.export.formats import Run
from rlepose.export.network import ExportedNetwork
from rlepose.pose.geometry import Floats

TOLERANCE = 1e-4  # for every output, in network units; for mu, 0.02 px in a crop of 192 px


@dataclass(frozen=True)
class Difference:
    """Differences between the outputs of a model and of its exported file.

    largest: largest absolute difference of each output, network units.
    pixels:  distance of each joint from the model's in the image plane, crop pixels: (N, K).
    """

    largest: dict[str, float]
    pixels: Floats

    @property
    def tolerable(self) -> bool:
        return all(value <= TOLERANCE for value in self.largest.values())

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value:.1e}" for name, value in self.largest.items())
        return (
            f"largest difference {values}; distance of joints in crop pixels: median {np.median(self.pixels):.2g}, "
            f"maximum {self.pixels.max():.2g}"
        )


@torch.no_grad()
def difference(network: ExportedNetwork, run: Run, crops: NDArray[np.uint8]) -> Difference:
    """Compare outputs for crops (N, 3, H, W) RGB uint8, in one batch and one alone: the file must accept any number."""
    expected = {name: value.numpy() for name, value in network(torch.from_numpy(crops)).items()}
    found, alone = run(crops), run(crops[:1])
    largest = {}
    for name, value in expected.items():
        together = np.abs(found[name] - value).max()
        # np.maximum propagates NaN, max() does not
        largest[name] = float(np.maximum(together, np.abs(alone[name] - value[:1]).max()))
    height, width = crops.shape[2:]
    return Difference(largest, np.linalg.norm((found["mu"] - expected["mu"])[..., :2] * [width, height], axis=-1))
