"""A trained lifting network: 2-D poses in, 3-D joints and their scales out."""

import copy
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rlepose.config.config import Config
from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.datasets.lifting_codec import LIFTED, NUM_LIFTED, in_mm, mirror_inputs, mirror_output
from rlepose.evaluation.recalibration import Recalibration
from rlepose.losses import Criterion, LocationScale, build_likelihood
from rlepose.losses.criterion import SMALLEST_SIGMA
from rlepose.losses.options import LossConfig
from rlepose.models.lifting_net import lifting_network
from rlepose.pose.codec import PoseOutput, average_outputs
from rlepose.pose.geometry import Floats
from rlepose.runtime.checkpoint import Checkpoint, stored_spread
from rlepose.runtime.checkpoint_file import load_state


class TrainedLifter:
    """A lifting network with the loss that determines the meaning of its sigma.

    Always uses float32, which is fast enough; bfloat16 would round the inputs to three digits.

    Args:
        network: network made by `lifting_network`, on `device`. It is put into evaluation mode.
        criterion: the loss that trained the network, on any device.
        config: config of the experiment; `eval.flip_test` averages with the mirrored pose.
        device: device of the network.
        recalibration: corrects sigma in `in_space`; joint scores stay the network's.
        spread: of the criterion, if it is known; None: computed when it is first needed.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: Criterion,
        config: Config,
        device: torch.device,
        recalibration: Recalibration | None = None,
        spread: Floats | None = None,
    ) -> None:
        self.network = network.eval()
        self.config = config
        self.device = device
        self.recalibration = recalibration
        self._criterion = criterion
        self._spread = spread

    @torch.inference_mode()
    def predict(self, inputs: Tensor) -> PoseOutput:
        """Predict mu and sigma (B, 16, 3) for inputs (B, 34), all on `device`."""
        output: PoseOutput = self.network(inputs)
        if self.config.eval.flip_test:
            output = average_outputs(output, mirror_output(self.network(mirror_inputs(inputs))))
        return output

    def in_space(self, output: PoseOutput) -> tuple[Floats, Floats | None]:
        """Convert an output to joints relative to the root and their corrected sigma, (N, 17, 3) mm; 0 for the root.

        For a loss without sigma, a recalibration corrects the constant 1; without a recalibration, sigma is None.
        """
        sigma = None if output.sigma is None else output.sigma.clamp(min=SMALLEST_SIGMA).cpu().numpy()
        if self.recalibration is not None:
            sigma = self.recalibration.apply(np.ones(output.mu.shape) if sigma is None else sigma)
        return in_mm(output.mu), None if sigma is None else in_mm(torch.from_numpy(sigma))

    @property
    def gives_sigma(self) -> bool:
        """Whether joints have a sigma: learned with the loss, or fitted by a recalibration."""
        return self._criterion.main.needs_sigma or self.recalibration is not None

    @cached_property
    def spread(self) -> Floats:
        """(17, 3) standard deviation of target − mu in units of sigma; 0 for the root, which is known."""
        if self._spread is not None:
            return self._spread
        spread = np.zeros((len(METRIC_JOINTS), 3))
        spread[list(LIFTED)] = copy.deepcopy(self._criterion).cpu().residual_spread(NUM_LIFTED).numpy()
        return spread

    @cached_property
    def likelihood(self) -> LocationScale:
        """The density of the residual of all joints except the root, on the CPU."""
        return self._criterion.copied_density()

    @property
    def has_likelihood(self) -> bool:
        """Whether there is a `likelihood`; true for all losses of lifting."""
        return self._criterion.has_density


def lifting_criterion(config: LossConfig) -> Criterion:
    """Return the loss of a lifting network. Every joint has a depth label, so no 2-D likelihood is needed."""
    return Criterion([build_likelihood(config, NUM_LIFTED, dims=3)])


def open_lifter(path: str | Path, config: Config, checkpoint: Checkpoint, device: torch.device) -> TrainedLifter:
    """Return the trained network on a device.

    path: for messages. config: the checkpoint's, or one with the same model. InputError if they do not fit.
    """
    network, criterion = lifting_network(config), lifting_criterion(config.loss)
    load_state(network, checkpoint.model, "model", path)
    load_state(criterion, checkpoint.criterion, "criterion", path)
    spread = stored_spread(checkpoint, config)
    return TrainedLifter(
        network.to(device), criterion.eval().to(device), config, device, checkpoint.recalibration, spread
    )
