"""Options of the hardware."""

from dataclasses import dataclass
from typing import Literal

from rlepose.options import option


@dataclass(frozen=True)
class SystemConfig:
    """Device, precision and processes."""

    device: Literal["auto", "cuda", "cpu"] = option("auto", "auto: CUDA if available, else the CPU")
    precision: Literal["auto", "bfloat16", "float32"] = option(
        "auto",
        "precision of the backbone (head, flow and loss use float32). auto: bfloat16 if the device supports it, except "
        "on a CPU for backbones with many weights in depthwise convolutions (MobileNet, EfficientNet); a resumed run "
        "keeps its precision",
    )
    channels_last: bool = option(True, "use the channels_last memory layout, which is faster for convolutions")
    compile: Literal["none", "default", "reduce-overhead"] = option(
        "none",
        "mode of torch.compile for the network in training: default fuses operators; reduce-overhead also replays them "
        "as CUDA graphs, if launching kernels is the bottleneck; the first step then takes minutes",
    )
    deterministic: bool = option(
        False,
        "use only bit-reproducible algorithms, at some cost on CUDA; warns of operations without one",
    )
    timeout_s: float = option(120.0, "seconds that a rank waits for another one in training before both fail", above=0)
    worker_timeout_s: float = option(
        600.0, "seconds that the loader processes may take for a batch before the run ends", above=0
    )
    workers: int = option(4, "loader processes per device; 0: load in the main process", low=0)
