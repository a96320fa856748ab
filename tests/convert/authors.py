"""The authors' network written plainly, on torchvision's ResNet-18, with a state in the layout of their checkpoints."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
import torchvision
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rlepose.pose.skeleton import Skeleton

DEPTH_MM = 2000  # of the cube that their depth is a share of


class AuthorsPose(NamedTuple):
    """mu and sigma (B, K, D) in network units; in 3-D, mu's depth is relative to the first joint's."""

    mu: Tensor
    sigma: Tensor


class AuthorsNetwork:
    """A network of random weights, but for head and flows, which are the reference values'.

    state: as their checkpoints have it. reference: tests/data/reference.npz; head: its 'head2d' or 'head3d'.
    """

    def __init__(self, reference: Mapping[str, NDArray], head: str) -> None:
        self.resnet, weights = resnet_state("preact.")
        self.state = weights | reference_state(reference, head)
        self.dims = 2 if head == "head2d" else 3

    def pose(self, pixels: Tensor) -> AuthorsPose:
        """pixels (B, 3, H, W) as their transform makes them."""
        features, state = self.resnet(pixels), self.state
        sigma = "fc_sigma.linear" if self.dims == 2 else "fc_sigma"
        mu = features @ state["fc_coord.linear.weight"].T / features.norm(dim=1, keepdim=True)
        mu = (mu + state["fc_coord.linear.bias"]).view(len(pixels), -1, self.dims)
        if self.dims == 3:
            mu[..., 2] -= mu[:, :1, 2].clone()
        scales = (features @ state[f"{sigma}.weight"].T + state[f"{sigma}.bias"]).sigmoid()
        return AuthorsPose(mu, scales.view(mu.shape))

    def pose_with_flip_test(self, pixels: Tensor, skeleton: Skeleton) -> AuthorsPose:
        """The mean of the poses of crops and mirrored crops. skeleton: which joints are left and right."""
        pose, mirrored = self.pose(pixels), self.pose(pixels.flip(-1))
        twins = list(skeleton.flip_permutation)
        mu, sigma = mirrored.mu[:, twins], mirrored.sigma[:, twins]
        mu[..., 0] = -mu[..., 0] - 1 / pixels.shape[-1]
        return AuthorsPose((pose.mu + mu) / 2, (pose.sigma + sigma) / 2)


def in_picture(mu: Tensor, crop_xyxy: ArrayLike) -> NDArray[np.float64]:
    """mu (B, K, D) in crops (B, 4) -> x, y in px of the picture and, in 3-D, depth in mm."""
    box, values = np.asarray(crop_xyxy, float), mu.double().numpy()
    corner, size = box[:, None, :2], box[:, None, 2:] - box[:, None, :2]
    return np.concatenate([corner + (values[..., :2] + 0.5) * size, values[..., 2:] * DEPTH_MM], axis=-1)


def resnet_state(prefix: str, seed: int = 0) -> tuple[torch.nn.Module, dict[str, Tensor]]:
    """torchvision's ResNet-18 with statistics that are not the initial ones, and its state without the classifier."""
    torch.manual_seed(seed)
    resnet = torchvision.models.resnet18().eval()
    for module in resnet.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    resnet.fc = torch.nn.Identity()
    return resnet, {prefix + name: value for name, value in resnet.state_dict().items()}


def reference_state(reference: Mapping[str, NDArray], prefix: str) -> dict[str, Tensor]:
    """Head and flows of the reference with the names of the authors' checkpoints."""
    values = ("features", "target", "weight", "mu", "sigma", "score", "loss", "nf_loss", "mu_eval")
    names = [name for name in reference if name.startswith(f"{prefix}/")]
    keys = {name: name.removeprefix(f"{prefix}/").replace("/", ".") for name in names}
    return {
        key: torch.from_numpy(reference[name])
        for name, key in keys.items()
        if key not in values and not key.startswith("grad_")
    }
