"""A trained model: crops in, final positions and scales out, after the loss's and the recalibration's corrections."""

import copy
import dataclasses
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rlepose.config.config import Config
from rlepose.evaluation.recalibration import Recalibration
from rlepose.losses import Criterion, LocationScale, build_criterion
from rlepose.losses.criterion import SMALLEST_SIGMA
from rlepose.losses.heatmap import HeatmapMSE
from rlepose.models.pose_model import PoseModel, network_of
from rlepose.pose.codec import PoseOutput, average_outputs, decode, flip_output
from rlepose.pose.frames import Frames
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import H36M_ROOT, Skeleton, twins_of
from rlepose.runtime.checkpoint import Checkpoint, stored_spread
from rlepose.runtime.checkpoint_file import load_state
from rlepose.runtime.precision import choose_precision


class TrainedModel:
    """A network with the loss that determines the meaning of its output, and a recalibration.

    network: crops to PoseOutput, on `device`; a PoseModel, or an exported file. It is put into evaluation mode.
    criterion: the loss that trained the network, on any device. basic's flow transforms the output; the densities of
        all other losses determine the ratio of standard deviation and sigma.
    recalibration: corrects sigma in `in_picture`; joint scores remain the network's.
    spread: of the criterion, if it is known; None: computed when it is first needed, which takes seconds for a flow.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: Criterion,
        config: Config,
        skeleton: Skeleton,
        device: torch.device,
        recalibration: Recalibration | None = None,
        spread: Floats | None = None,
    ) -> None:
        self.network = network.eval()
        self.config = config
        self.skeleton = skeleton
        self.device = device
        self.recalibration = recalibration
        self._criterion = criterion
        self._spread = spread
        precision = choose_precision(config.system.precision, device, network).dtype
        self._bfloat16 = precision == torch.bfloat16
        permutation = torch.tensor(skeleton.flip_permutation, device=device)
        self._flip_permutation = permutation if config.eval.flip_test else None

    @torch.inference_mode()
    def predict(self, image: Tensor) -> PoseOutput:
        """Predict positions and scales in the frames of crops (B, 3, H, W) RGB uint8; all on `device`.

        With `eval.flip_test`, returns the mean of the predictions for these and for the mirrored crops.
        """
        to_pose = self._criterion.main.predict
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            output = to_pose(self.network(image))
            if self._flip_permutation is not None:
                mirrored = to_pose(self.network(image.flip(-1)))
                output = average_outputs(output, flip_output(mirrored, self._flip_permutation, image.shape[-1]))
        return output._replace(heatmaps=None)  # 200 KB per person, no longer needed

    def in_picture(self, mu: Floats, sigma: Floats | None, frames: Frames) -> tuple[Floats, Floats | None]:
        """Convert mu, sigma (N, K, D) in N frames to keypoints and corrected sigma (N, K, D) px in the picture.

        In 3-D, the third coordinate is in mm relative to the root, whose own is 0. With `loss.root_depth`, the root's
        predicted depth is subtracted from all others, as in the authors' code.
        A loss without sigma has the constant scale 1, the crop's width and height, which a recalibration corrects;
        without a recalibration, sigma is None.
        """
        if sigma is not None:
            sigma = np.maximum(sigma, SMALLEST_SIGMA)
        if self.recalibration is not None:
            sigma = self.recalibration.apply(np.ones_like(mu) if sigma is None else sigma)
        keypoints, sigma = decode(mu, sigma, frames)
        if keypoints.shape[-1] == 3:
            if self.config.loss.root_depth:
                keypoints[..., 2] -= keypoints[:, [H36M_ROOT], 2]
            for values in (keypoints, sigma):
                if values is not None:
                    values[:, H36M_ROOT, 2] = 0
        return keypoints, sigma

    @property
    def gives_sigma(self) -> bool:
        """Whether poses have a sigma, learned by the loss or fitted by a recalibration."""
        return self._criterion.main.needs_sigma or self.recalibration is not None

    @property
    def gives_scores(self) -> bool:
        """Whether joints have scores: from a learned sigma, or from heatmaps."""
        return self._criterion.main.needs_sigma or isinstance(self._criterion, HeatmapMSE)

    @cached_property
    def spread(self) -> Floats:
        """(K, D) standard deviation of target − mu in units of sigma, for the density that scores each joint.

        Computed on the CPU, so that the random residuals for it do not depend on the device.
        """
        if self._spread is not None:
            return self._spread
        return copy.deepcopy(self._criterion).cpu().residual_spread(len(self.skeleton)).numpy()

    @cached_property
    def likelihood(self) -> LocationScale:
        """The density of the residual, on the CPU; InputError for `basic`, whose density is of absolute positions."""
        return self._criterion.copied_density()

    @property
    def has_likelihood(self) -> bool:
        """Whether there is a `likelihood`."""
        return self._criterion.has_density


def network_from_checkpoint(checkpoint: Checkpoint, config: Config, path: str | Path) -> PoseModel:
    """Return the trained network, on the CPU, in evaluation mode.

    config: the checkpoint's, or one with the same model. path: for messages.
    """
    network = network_of(config, len(checkpoint.skeleton), pretrained=False)
    load_state(network, checkpoint.model, "model", path)
    return network.eval()


def open_checkpoint(
    path: str | Path, config: Config, checkpoint: Checkpoint, device: torch.device, network: nn.Module | None = None
) -> TrainedModel:
    """Return the trained model on a device.

    path: for messages. config: the checkpoint's, or one with the same model; its `data.flip_pairs` are used by the flip
    test. network: replaces the checkpoint's network, for example by an exported file.
    """
    if network is None:
        network = network_from_checkpoint(checkpoint, config, path).to(device)
        if config.system.channels_last:
            network = network.to(memory_format=torch.channels_last)
    criterion = build_criterion(config.loss, len(checkpoint.skeleton), config.dims)
    load_state(criterion, checkpoint.criterion, "criterion", path)
    twins = twins_of(config.data.flip_pairs, checkpoint.skeleton.names, path)
    skeleton = dataclasses.replace(checkpoint.skeleton, twins=twins)
    spread = stored_spread(checkpoint, config)
    criterion = criterion.eval().to(device)
    return TrainedModel(network, criterion, config, skeleton, device, checkpoint.recalibration, spread)
