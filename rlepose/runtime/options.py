"""Options of the machine."""

from dataclasses import dataclass
from typing import Literal

from rlepose.options import option


@dataclass(frozen=True)
class SystemConfig:
    """What it runs on."""

    device: Literal["auto", "cuda", "cpu"] = option("auto", "auto: CUDA where there is some, else the CPU")
    precision: Literal["auto", "bfloat16", "float32"] = option(
        "auto",
        "of the backbone (head, flow and loss are float32); auto: bfloat16 where the device computes in it, but on a "
        "CPU float32 for backbones in which depthwise convolutions weigh much (MobileNet, EfficientNet); a resumed run "
        "keeps what it began with",
    )
    channels_last: bool = option(True, "memory layout that convolutions prefer")
    compile: Literal["none", "default", "reduce-overhead"] = option(
        "none",
        "how torch.compile treats the network in training: default fuses operators, reduce-overhead replays them as "
        "CUDA graphs too, for when launching them takes the time; the first step then takes minutes",
    )
    deterministic: bool = option(
        False,
        "take only algorithms that give the same bits each time, at some cost on CUDA; warns of operations without one",
    )
    timeout_s: float = option(
        120.0, "seconds that a rank waits for another one in training, before both end with an error", above=0
    )
    worker_timeout_s: float = option(
        600.0,
        "seconds that a batch may take to come from the processes that load pictures, before the run ends",
        above=0,
    )
    workers: int = option(4, "processes a device that load pictures; 0: the main process loads", low=0)
