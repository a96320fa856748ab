"""What one training step of the top-down task computes: the network and the loss of crops."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rlepose.datasets.crops import CropBatch
from rlepose.errors import InputError, first_line
from rlepose.losses import Criterion
from rlepose.pose.codec import PoseOutput
from rlepose.training.task import Losses, StepModule


class TopDownStep(StepModule):
    """Network and criterion of crops.

    The network runs in the given precision, the criterion always in float32. mode: how torch.compile treats the
    network, a mode of its own or 'none'. What is compiled is the function: the network keeps its weights' names, and
    who calls it elsewhere, as validation does, runs it as it is.
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
    """InputError where torch.compile does not work here; finding out takes it seconds the first time."""
    if mode == "none":
        return
    try:
        torch.compile(lambda x: x + 1, mode=mode)(torch.zeros(8, device=device))
    except Exception as error:  # it has many: of dynamo, inductor, triton, the C++ compiler
        needs = "triton" if device.type == "cuda" else "a C++ compiler (g++, or one named by CXX)"
        raise InputError(
            f"system.compile: {mode} does not work here ({first_line(error)}); install {needs}, "
            "or set system.compile=none"
        ) from error
