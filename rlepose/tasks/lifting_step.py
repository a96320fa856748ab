"""A training step of the lifting task: network and loss for 2-D poses."""

import torch

from rlepose.datasets.lifted_poses import LiftingBatch
from rlepose.losses import Criterion
from rlepose.models.lifting_net import LiftingNet
from rlepose.training.task import Losses, StepModule


class LiftingStep(StepModule):
    """Network and criterion for 2-D poses.

    The network runs in the given precision except for its last layers, the criterion in float32.
    """

    def __init__(self, model: LiftingNet, criterion: Criterion, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.model = model
        self.criterion: Criterion = criterion
        self.term_names = criterion.term_names
        self.precision = precision

    def forward(self, batch: LiftingBatch) -> Losses:
        with torch.autocast(batch.inputs.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            output = self.model(batch.inputs)
        return Losses(*self.criterion.losses(output, batch.target, batch.weight))
