"""A training step of the top-down task: network and loss for crops."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rlepose.datasets.crops import CropBatch
from rlepose.errors import InputError, first_line
from rlepose.losses import Criterion
from rlepose.pose.codec import PoseOutput
from rlepose.training.task import Losses, StepModule


class TopDownStep(StepModule):
    """Network and criterion for crops.

    The network runs in the given precision, the criterion in float32. mode: torch.compile's mode for the network, or
    'none'. Only the call in the step is compiled: parameters keep their names, and other callers, such as validation,
    run the network uncompiled.
    """

    def __init__(
        self, model: nn.Module, criterion: Criterion, precision: torch.dtype = torch.float32, mode: str = "none"
    ) -> None:
        super().__init__()
        self.model = model
        self.criterion: Criterion = criterion
        self.term_names = criterion.term_names
        self.precision = precision
        self._compiled: Callable[[Tensor], PoseOutput] | None = None
        if mode != "none":
            self._compiled = torch.compile(model.forward, mode=mode)

    def forward(self, batch: CropBatch) -> Losses:
        with torch.autocast(batch.image.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            output = (self._compiled or self.model)(batch.image)
        return Losses(*self.criterion.losses(output, batch.target, batch.weight))


def check_compile(mode: str, device: torch.device) -> None:
    """Raise InputError if torch.compile does not work here; the first check takes seconds."""
    if mode == "none":
        return
    try:
        torch.compile(lambda x: x + 1, mode=mode)(torch.zeros(8, device=device))
    except Exception as error:  # dynamo, inductor, triton and the C++ compiler raise many types of errors
        needs = "triton" if device.type == "cuda" else "a C++ compiler (g++, or one named by CXX)"
        raise InputError(
            f"system.compile: {mode} does not work here ({first_line(error)}); install {needs}, "
            "or set system.compile=none"
        ) from error
