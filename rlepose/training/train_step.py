"""What one training step computes: the network and the loss, in one module."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rlepose.errors import InputError, first_line
from rlepose.models.pose_model import PoseModel
from rlepose.pose.codec import PoseOutput


class TrainStep(nn.Module):
    """Model and criterion in one module, for DDP to wrap: the flow lives in the criterion and must be kept equal too.

    The model runs in the given precision, the criterion always in float32. mode: how torch.compile treats the model, a
    mode of its own or 'none'. What is compiled is the function: the model keeps its weights' names, and who calls it
    elsewhere, as validation does, runs it as it is.
    """

    def __init__(
        self, model: PoseModel, criterion: nn.Module, precision: torch.dtype = torch.float32, mode: str = "none"
    ) -> None:
        super().__init__()
        self.model = model
        self.criterion = criterion
        self.precision = precision
        self._compiled: Callable[[Tensor], PoseOutput] | None = None
        if mode != "none":
            self._compiled = torch.compile(model.forward, mode=mode)

    def forward(self, image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """image (B, 3, H, W), target and weight (B, K, D) -> the loss of each person (B,)."""
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            output = (self._compiled or self.model)(image)
        return self.criterion(output, target, weight)


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
