"""Between positions and heatmaps: Gaussians for the labels, and three ways to read a position, side by side.

Positions are in network units (codec.py). How pixels of a heatmap lie in the crop is the choice `Alignment`:

    classic  pixel j of w at j / w − 0.5, so crop pixel = stride · j (SimplePose). Mirroring a heatmap then moves it: by
             3/4 of a pixel at stride 4, for which mirrored heatmaps are shifted by one.
    udp      the corner pixels of heatmap and crop coincide, crop pixel = j (W − 1) / (w − 1), and mirroring moves
             nothing (Huang et al., The Devil is in the Details, CVPR 2020).

Encoding and decoding use the same pixels, so what is lost lies between pixels alone. Of a perfect heatmap with rounded
centres every reading gets back the nearest pixel, 1/2 off at most; with exact centres 'quarter' is 1/4 off at most and
'dark' less than 1/100, but for what a near border cuts off. `expectation` loses nothing but what the border cuts off.
"""

from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d

Alignment = Literal["classic", "udp"]
Refinement = Literal["quarter", "dark"]

_REACH = 3  # sigmas from the centre to where a Gaussian is cut off
_BLUR_SIGMA = 2  # pixels; DARK's, as of the targets at 64×48
_BLUR_REACH = 5
_TIE = 0.01  # pixels more than a half that still count as a half; float32 is off by less than 1e-3
_LEAST = 1e-10  # before a logarithm
_FLATTEST = 1e-4  # determinant of the logarithm's second derivatives: a Gaussian 10 pixels wide


class Heatmaps(NamedTuple):
    """Heatmaps and where their pixels lie.

    values:     (B, K, h, w).
    x, y:       positions of the columns (w,) and rows (h,), evenly spaced, network units.
    refinement: how `peaks` reads a position between pixels.
    """

    values: Tensor
    x: Tensor
    y: Tensor
    refinement: Refinement = "quarter"

    def gaussians(self, positions: Tensor, sigma: float, rounded: bool) -> Tensor:
        """What these heatmaps should be: (B, K, 2) -> (B, K, h, w), 1 at the position and 0 from 3 sigma on.

        sigma: pixels of the heatmap. rounded: around the nearest pixel instead of the position itself.
        """
        across = _bell(self.x, positions[..., 0], sigma, rounded)
        down = _bell(self.y, positions[..., 1], sigma, rounded)
        return down.unsqueeze(-1) * across.unsqueeze(-2)

    def peaks(self) -> tuple[Tensor, Tensor]:
        """Position of each maximum (B, K, 2), and the maxima (B, K)."""
        values = self.values.float()
        maxima, index = values.flatten(2).max(dim=2)
        width = values.shape[3]
        column, row = index % width, index // width
        shift_x, shift_y = (_dark if self.refinement == "dark" else _quarter)(values, column, row)
        pixel = torch.stack([column + shift_x, row + shift_y], dim=-1)
        origin, step = (torch.stack([part(self.x), part(self.y)]) for part in (_first, _step))
        return origin + pixel * step, maxima

    def expectation(self) -> Tensor:
        """The mean position under the heatmaps' softmax (soft-argmax; Sun et al., ECCV 2018): (B, K, 2)."""
        density = self.values.float().flatten(2).softmax(dim=2).view(self.values.shape)
        return torch.stack([density.sum(dim=2) @ self.x, density.sum(dim=3) @ self.y], dim=-1)

    def mirrored(self, flip_permutation: Tensor, crop_width: int) -> "Heatmaps":
        """Heatmaps of a mirrored crop, expressed for the crop as it was; shifted by whole pixels only.

        All columns are shifted alike, by the nearest number of whole pixels: classic heatmaps by 1 above stride 2, as
        SimplePose's of stride 4, else by 0. At stride 2 either is half a pixel off, and 0 loses no column.
        """
        last = len(self.x) - 1
        # Crop position x is at −x − 1 / crop_width in the mirrored crop, see codec.flip_output.
        first_goes_to = (-2 * _first(self.x) - 1 / crop_width) / _step(self.x)
        shift = (first_goes_to - last - 0.5 - _TIE).ceil()
        column = (last + shift - torch.arange(last + 1, device=self.x.device)).clamp(0, last).long()
        return self._replace(values=self.values[:, flip_permutation].index_select(3, column))


def pixel_positions(count: int, stride: float, alignment: Alignment, device: torch.device) -> Tensor:
    """Where the `count` columns or rows of a heatmap lie, each `stride` crop pixels wide: (count,), network units."""
    pixel = torch.arange(count, dtype=torch.float32, device=device)
    if alignment == "classic":
        return pixel / count - 0.5
    size = count * stride
    return pixel * ((size - 1) / (count - 1) / size) - 0.5


def _first(axis: Tensor) -> Tensor:
    return axis[0]


def _step(axis: Tensor) -> Tensor:
    return (axis[-1] - axis[0]) / (len(axis) - 1)


def _bell(axis: Tensor, position: Tensor, sigma: float, rounded: bool) -> Tensor:
    """One axis of the Gaussians: (B, K) -> (B, K, n)."""
    pixel = (position - _first(axis)) / _step(axis)
    nearest = (pixel + 0.5).floor()
    center = nearest if rounded else pixel
    index = torch.arange(len(axis), device=axis.device)
    bell = torch.exp(-0.5 * ((index - center.unsqueeze(-1)) / sigma).square())
    return bell * ((index - nearest.unsqueeze(-1)).abs() <= _REACH * sigma)


def _at(values: Tensor, column: Tensor, row: Tensor, right: int, down: int) -> Tensor:
    """Values beside the pixels (column, row), or on the border where they lie beyond it: (B, K)."""
    height, width = values.shape[2:]
    index = (row + down).clamp(0, height - 1) * width + (column + right).clamp(0, width - 1)
    return values.flatten(2).gather(2, index.unsqueeze(2)).squeeze(2)


def _quarter(values: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """A quarter of a pixel towards the higher neighbour; none on the border (SimplePose)."""
    at = partial(_at, values, column, row)
    height, width = values.shape[2:]
    shift_x = 0.25 * (at(1, 0) - at(-1, 0)).sign() * ((column > 0) & (column < width - 1))
    shift_y = 0.25 * (at(0, 1) - at(0, -1)).sign() * ((row > 0) & (row < height - 1))
    return shift_x, shift_y


def _dark(values: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """To the top of the Gaussian whose logarithm has these derivatives (Zhang et al., CVPR 2020, equations 4 to 9).

    None where the map is flat or no hill, or the border is near; one pixel at most.
    """
    at = partial(_at, _blurred(values).clamp(min=_LEAST).log(), column, row)
    height, width = values.shape[2:]
    dx, dy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    dxx, dyy = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4, (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    dxy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    determinant = dxx * dyy - dxy.square()
    inside = (column > 1) & (column < width - 2) & (row > 1) & (row < height - 2)
    hill = inside & (dxx < 0) & (determinant > _FLATTEST)
    determinant = determinant.where(hill, torch.ones_like(determinant))
    shifts = (dxy * dy - dyy * dx) / determinant, (dxy * dx - dxx * dy) / determinant
    return shifts[0].clamp(-1, 1) * hill, shifts[1].clamp(-1, 1) * hill


def _blurred(values: Tensor) -> Tensor:
    taps = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1, device=values.device, dtype=values.dtype)
    kernel = (taps.square() / (-2 * _BLUR_SIGMA**2)).softmax(0)
    maps = values.flatten(0, 1).unsqueeze(1)
    maps = conv2d(maps, kernel.view(1, 1, 1, -1), padding=(0, _BLUR_REACH))
    maps = conv2d(maps, kernel.view(1, 1, -1, 1), padding=(_BLUR_REACH, 0))
    return maps.view(values.shape)
