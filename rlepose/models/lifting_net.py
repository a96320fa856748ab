"""The network that lifts a 2-D pose to 3-D (Martinez et al., ICCV 2017), with a scale for each coordinate."""

import torch
from torch import Tensor, nn

from rlepose.config.config import Config
from rlepose.datasets.lifting_codec import INPUTS, NUM_LIFTED
from rlepose.errors import InputError
from rlepose.models.options import LiftingModelConfig, ModelConfig
from rlepose.options import own_options
from rlepose.pose.codec import PoseOutput

# sigma = 0.047, 95 mm: close to the learned values. Starting at one metre, as in models/heads.py, takes long.
_FIRST_SIGMA_LOGIT = -3.0
# Inputs that vary less than this in the training data, a few µm at 4 m, are shifted but not scaled.
_CONSTANT = 1e-6


class _Block(nn.Module):
    """Two linear layers with a residual connection."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_layer(width, width, dropout), *_layer(width, width, dropout))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def _layer(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True), nn.Dropout(dropout)]


class LiftingNet(nn.Module):
    """A fully connected residual network from 2-D joints to 3-D joints.

    Args:
        inputs: I, size of an encoded 2-D pose.
        joints: K, number of 3-D joints.
        width: hidden units.
        blocks: residual blocks of two layers.
        dropout: fraction of hidden units set to 0 in training.
        predict_sigma: False for losses without a scale.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        inputs: int,
        joints: int,
        width: int = 1024,
        blocks: int = 2,
        dropout: float = 0.1,
        predict_sigma: bool = True,
    ) -> None:
        super().__init__()
        self.joints = joints
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        self.trunk = nn.Sequential(*_layer(inputs, width, dropout), *(_Block(width, dropout) for _ in range(blocks)))
        self.coordinates = nn.Linear(width, joints * 3)
        self.scales = nn.Linear(width, joints * 3) if predict_sigma else None
        for layer in (self.coordinates, self.scales):
            if layer is not None:
                # Small weights, so that training starts with mu = 0 and the sigma of the bias.
                nn.init.xavier_uniform_(layer.weight, gain=0.01)
                nn.init.zeros_(layer.bias)
        if self.scales is not None:
            nn.init.constant_(self.scales.bias, _FIRST_SIGMA_LOGIT)

    def normalize_by(self, inputs: Tensor) -> None:
        """Normalise all later inputs by the mean and standard deviation of inputs (N, I); checkpoints store both."""
        std = inputs.std(dim=0, correction=1 if len(inputs) > 1 else 0)
        self.mean.copy_(inputs.mean(dim=0))
        self.std.copy_(std.where(std > _CONSTANT, 1.0))

    def forward(self, inputs: Tensor) -> PoseOutput:
        """Map inputs (B, I) to mu, sigma (B, K, 3)."""
        features = self.trunk((inputs - self.mean) / self.std)
        # In float32 even under autocast: bfloat16 would round a metre to 4 mm.
        with torch.autocast(inputs.device.type, enabled=False):
            features = features.to(self.coordinates.weight.dtype)
            mu = self.coordinates(features).view(-1, self.joints, 3)
            sigma = None if self.scales is None else torch.sigmoid(self.scales(features)).view(-1, self.joints, 3)
        return PoseOutput(mu, sigma)


def build_lifting_net(config: LiftingModelConfig, inputs: int, joints: int, predict_sigma: bool) -> LiftingNet:
    """Return the network of a config with random weights; for other arguments, see LiftingNet."""
    return LiftingNet(inputs, joints, predict_sigma=predict_sigma, **own_options(config, ModelConfig))


def lifting_network(config: Config) -> LiftingNet:
    """Return the network of a whole config with random weights; InputError for a config of another task."""
    if not isinstance(config.model, LiftingModelConfig):
        raise InputError(
            f"model.name: {config.model.name} does not lift 2-D poses; use a config or checkpoint with "
            "model.name=lifting"
        )
    return build_lifting_net(config.model, INPUTS, NUM_LIFTED, config.loss.needs_sigma)
