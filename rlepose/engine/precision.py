"""In which precision a backbone computes: `system.precision`."""

from typing import NamedTuple

import torch
from torch import nn


class Precision(NamedTuple):
    """The backbone's dtype, and why it is that."""

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        """'bfloat16' or 'float32'."""
        return str(self.dtype).removeprefix("torch.")


def choose_precision(option: str, device: torch.device, network: nn.Module) -> Precision:
    """The precision of `system.precision` for this network.

    `auto` takes bfloat16 where the hardware computes in it, since elsewhere it is slower; but on a CPU float32 for
    networks with depthwise convolutions, which bfloat16 slows down there (docs/performance.md has both).
    """
    if option != "auto":
        return Precision(getattr(torch, option), f"system.precision={option}")
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return Precision(torch.bfloat16, "the GPU computes in it")
        return Precision(torch.float32, "the GPU does not compute in bfloat16")
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return Precision(torch.float32, "the CPU does not compute in bfloat16")
    if has_depthwise_convolutions(network):
        return Precision(torch.float32, "on a CPU bfloat16 slows its depthwise convolutions down")
    return Precision(torch.bfloat16, "the CPU computes in it")


def has_depthwise_convolutions(network: nn.Module) -> bool:
    """Whether some convolution has a filter for each channel alone."""
    return any(isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1 for layer in network.modules())
