"""In which precision a backbone computes: `system.precision`."""

from typing import NamedTuple

import torch
from torch import nn

# Of a backbone's weights. Of those that were measured (docs/performance.md), all with more are slower in bfloat16 on a
# CPU, or as fast, and all with less are faster, or as fast.
MOST_DEPTHWISE_WEIGHTS = 0.03


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
    backbones that depthwise convolutions make up much of: bfloat16 slows those down there.
    """
    if option != "auto":
        return Precision(getattr(torch, option), f"system.precision={option}")
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return Precision(torch.bfloat16, "the GPU computes in it")
        return Precision(torch.float32, "the GPU does not compute in bfloat16")
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return Precision(torch.float32, "the CPU does not compute in bfloat16")
    if depthwise_share(getattr(network, "backbone", network)) > MOST_DEPTHWISE_WEIGHTS:
        return Precision(torch.float32, "on a CPU bfloat16 slows its depthwise convolutions down")
    return Precision(torch.bfloat16, "the CPU computes in it")


def depthwise_share(backbone: nn.Module) -> float:
    """The share of depthwise convolutions, whose filters see one channel, in the weights of all layers."""
    layers = [layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    depthwise = [layer for layer in layers if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1]
    return sum(layer.weight.numel() for layer in depthwise) / max(1, sum(layer.weight.numel() for layer in layers))
