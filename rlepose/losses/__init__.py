"""What is minimised. `LOSSES` maps the config's `loss.name` to its class."""

from torch import nn

from rlepose.config import LossConfig
from rlepose.losses.distance import L1
from rlepose.losses.likelihood import RLE

LOSSES: dict[str, type[L1] | type[RLE]] = {"l1": L1, "rle": RLE}


def build_criterion(config: LossConfig, dims: int = 2) -> nn.Module:
    """The loss of a config: a module called with (PoseOutput, target, weight)."""
    if config.name == "rle":
        return RLE(dims, config.flow.depth, config.flow.width)
    return LOSSES[config.name]()


__all__ = ["L1", "LOSSES", "RLE", "build_criterion"]
