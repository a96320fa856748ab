"""Choose the precision of a backbone: `system.precision`."""

from typing import NamedTuple

import torch
from torch import nn

# Share of a backbone's weights. On a CPU, all measured backbones (docs/performance.md) with a larger share are no
# faster in bfloat16, and all with a smaller share are no slower.
MOST_DEPTHWISE_WEIGHTS = 0.03


class Precision(NamedTuple):
    """The backbone's dtype, and the reason for it."""

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        """'bfloat16' or 'float32'."""
        return str(self.dtype).removeprefix("torch.")


def choose_precision(option: str, device: torch.device, network: nn.Module) -> Precision:
    """Return the precision for this network according to `system.precision`.

    `auto` uses bfloat16 if the hardware supports it, because emulation is slower; but on a CPU, it uses float32 for
    backbones with a large share of depthwise convolutions, which are slower there in bfloat16.
    """
    if option != "auto":
        return Precision(getattr(torch, option), f"system.precision={option}")
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return Precision(torch.bfloat16, "supported by the GPU")
        return Precision(torch.float32, "the GPU does not support bfloat16")
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return Precision(torch.float32, "the CPU does not support bfloat16")
    if depthwise_share(getattr(network, "backbone", network)) > MOST_DEPTHWISE_WEIGHTS:
        return Precision(torch.float32, "depthwise convolutions are slower in bfloat16 on a CPU")
    return Precision(torch.bfloat16, "supported by the CPU")


def depthwise_share(backbone: nn.Module) -> float:
    """Return the share of depthwise convolutions, whose filters see one channel, in the weights of all layers."""
    layers = [layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    depthwise = [layer for layer in layers if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1]
    return sum(layer.weight.numel() for layer in depthwise) / max(1, sum(layer.weight.numel() for layer in layers))
