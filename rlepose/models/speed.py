"""Measure how many persons a network processes per second on this machine: crops or, in lifting, 2-D poses."""

import statistics
import time
from collections.abc import Mapping

import torch

from rlepose.config.config import Config
from rlepose.models.cost import blank_input, untrained_network


def persons_per_second(
    configs: Mapping[str, Config], device: torch.device, batch: int = 16, rounds: int = 7
) -> dict[str, float]:
    """Return the speed of each config's network, with random weights, at its input size, in float32: the median.

    The networks take turns, so that other load on the machine slows all of them: compare the results with each other
    only. InputError as in `untrained_network`.
    """
    networks = {name: untrained_network(config).to(device) for name, config in configs.items()}
    for name, config in configs.items():
        if config.system.channels_last:
            networks[name].to(memory_format=torch.channels_last)
    inputs = {name: blank_input(config, batch, device) for name, config in configs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in configs}
    with torch.inference_mode():
        for _ in range(rounds + 1):
            for name, network in networks.items():
                _finish(device)
                started = time.perf_counter()
                network(inputs[name])
                _finish(device)
                seconds[name].append(time.perf_counter() - started)
    # The first round is a warm-up.
    return {name: batch / statistics.median(times[1:]) for name, times in seconds.items()}


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
