"""Encode positions as heatmaps of Gaussians, and decode heatmaps in three ways.

Positions are in network units (codec.py). `Alignment` chooses how heatmap pixels map to the crop:

    classic  pixel j of w is at j / w − 0.5, so crop pixel = stride · j (SimplePose). Mirroring shifts such a heatmap by
             3/4 of a pixel at stride 4, which SimplePose compensates by a shift of one pixel.
    udp      the corner pixels of heatmap and crop coincide, crop pixel = j (W − 1) / (w − 1), and mirroring shifts
             nothing (Huang et al., The Devil is in the Details, CVPR 2020).

Encoding and decoding use the same pixels, so decoding a perfect heatmap errs by less than a heatmap pixel. With rounded
centres, every decoder returns the nearest pixel, off by at most 1/2; with exact centres, 'quarter' is off by at most
1/4 and 'dark' by less than 1/100, except near a border. `expectation` is exact except near a border.
"""

from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d

Alignment = Literal["classic", "udp"]
Refinement = Literal["quarter", "dark"]

_REACH = 3  # radius at which a Gaussian is cut off, in sigmas
_BLUR_SIGMA = 2  # pixels; DARK's value, equal to the sigma of its targets at 64×48
_BLUR_REACH = 5
_TIE = 0.01  # pixels above one half that still count as one half; float32 errs by less than 1e-3
_LEAST = 1e-10  # lower bound before taking a logarithm
_FLATTEST = 1e-4  # smallest determinant of the logarithm's Hessian: a Gaussian 10 pixels wide


class Heatmaps(NamedTuple):
    """Heatmaps and the positions of their pixels.

    values:     (B, K, h, w).
    x, y:       positions of the columns (w,) and rows (h,), evenly spaced, network units.
    refinement: how `peaks` finds a position between pixels.
    """

    values: Tensor
    x: Tensor
    y: Tensor
    refinement: Refinement = "quarter"

    def gaussians(self, positions: Tensor, sigma: float, rounded: bool) -> Tensor:
        """Return target heatmaps for positions (B, K, 2): (B, K, h, w), 1 at the position and 0 beyond 3 sigma.

        sigma: heatmap pixels. rounded: centre each Gaussian on the nearest pixel instead of the exact position.
        """
        across = _bell(self.x, positions[..., 0], sigma, rounded)
        down = _bell(self.y, positions[..., 1], sigma, rounded)
        return down.unsqueeze(-1) * across.unsqueeze(-2)

    def peaks(self) -> tuple[Tensor, Tensor]:
        """Return the position of each maximum, (B, K, 2), and its value, (B, K)."""
        values = self.values.float()
        maxima, index = values.flatten(2).max(dim=2)
        width = values.shape[3]
        column, row = index % width, index // width
        shift_x, shift_y = (_dark if self.refinement == "dark" else _quarter)(values, column, row)
        pixel = torch.stack([column + shift_x, row + shift_y], dim=-1)
        origin, step = (torch.stack([part(self.x), part(self.y)]) for part in (_first, _step))
        return origin + pixel * step, maxima

    def expectation(self) -> Tensor:
        """Return the mean position under the softmax (soft-argmax; Sun et al., ECCV 2018): (B, K, 2)."""
        density = self.values.float().flatten(2).softmax(dim=2).view(self.values.shape)
        return torch.stack([density.sum(dim=2) @ self.x, density.sum(dim=3) @ self.y], dim=-1)

    def mirrored(self, flip_permutation: Tensor, crop_width: int) -> "Heatmaps":
        """Return the heatmaps for the original crop, given its mirror image's; shifted by whole pixels only.

        All columns are shifted by the nearest whole number of pixels: classic heatmaps by 1 above stride 2, as in
        SimplePose at stride 4, else by 0. At stride 2 both shifts err by half a pixel, and 0 loses no column.
        """
        last = len(self.x) - 1
        # Crop position x is at −x − 1 / crop_width in the mirrored crop; see codec.flip_output.
        first_goes_to = (-2 * _first(self.x) - 1 / crop_width) / _step(self.x)
        shift = (first_goes_to - last - 0.5 - _TIE).ceil()
        column = (last + shift - torch.arange(last + 1, device=self.x.device)).clamp(0, last).long()
        return self._replace(values=self.values[:, flip_permutation].index_select(3, column))


def pixel_positions(count: int, stride: float, alignment: Alignment, device: torch.device) -> Tensor:
    """Return the positions of `count` columns or rows that are `stride` crop pixels apart: (count,), network units."""
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
    """Return one axis of the Gaussians: (B, K) -> (B, K, n)."""
    pixel = (position - _first(axis)) / _step(axis)
    nearest = (pixel + 0.5).floor()
    center = nearest if rounded else pixel
    index = torch.arange(len(axis), device=axis.device)
    bell = torch.exp(-0.5 * ((index - center.unsqueeze(-1)) / sigma).square())
    return bell * ((index - nearest.unsqueeze(-1)).abs() <= _REACH * sigma)


def _at(values: Tensor, column: Tensor, row: Tensor, right: int, down: int) -> Tensor:
    """Return the values next to pixels (column, row), clamped to the border: (B, K)."""
    height, width = values.shape[2:]
    index = (row + down).clamp(0, height - 1) * width + (column + right).clamp(0, width - 1)
    return values.flatten(2).gather(2, index.unsqueeze(2)).squeeze(2)


def _quarter(values: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """Return an offset of a quarter pixel towards the higher neighbour, 0 on the border (SimplePose)."""
    at = partial(_at, values, column, row)
    height, width = values.shape[2:]
    shift_x = 0.25 * (at(1, 0) - at(-1, 0)).sign() * ((column > 0) & (column < width - 1))
    shift_y = 0.25 * (at(0, 1) - at(0, -1)).sign() * ((row > 0) & (row < height - 1))
    return shift_x, shift_y


def _dark(values: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """Return the offset to the maximum of the Gaussian fitted to the logarithm (Zhang et al., CVPR 2020, eq. 4 to 9).

    0 where the map is flat, has no maximum, or is near the border; at most one pixel.
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
