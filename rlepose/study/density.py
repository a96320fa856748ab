"""Does a loss learn the truth? Regression with noise whose density, location and scale are known."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlepose.codec import PoseOutput
from rlepose.config import LossConfig
from rlepose.losses import LOSSES, Criterion, build_criterion
from rlepose.models.heads import RegressionHead
from rlepose.study.noise import NOISES

INPUTS = 4
TEST_POINTS = 20_000
LOSS_CONFIGS = {
    "l2": LossConfig(name="l2"),
    "l1": LossConfig(name="l1"),
    "gaussian": LossConfig(name="gaussian"),
    "laplace": LossConfig(name="laplace"),
    "basic": LossConfig(name="basic"),
    "dle": LossConfig(name="dle"),
    "rle original": LossConfig(name="rle", form="original"),
    "rle paper": LossConfig(name="rle", form="paper"),
}


@dataclass(frozen=True)
class Result:
    """One training, judged on fresh points.

    excess_nll:  nats above the true density's, at each of `steps`; never below 0 but for sampling error.
    mu_error:    root mean square of the predicted minus the true mean, in true standard deviations.
    sigma_error: mean of |log(predicted / true standard deviation)| over points and coordinates; 0.1 is 10 %.
    residuals:   (target − mu) / sigma of some test points, (2000, 2); log_density of the loss at them, (2000,).
    """

    steps: tuple[int, ...]
    excess_nll: tuple[float, ...]
    mu_error: float
    sigma_error: float


class Network(nn.Module):
    """A small perceptron in the place of the backbone, then the head that poses are regressed with."""

    def __init__(self, predict_sigma: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(INPUTS, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.head = RegressionHead(64, num_keypoints=1, predict_sigma=predict_sigma, normalize_features=False)

    def forward(self, inputs: Tensor) -> PoseOutput:
        """inputs (N, INPUTS) -> mu, sigma (N, 1, 2)."""
        return self.head([self.features(inputs)[..., None, None]])


def true_location_and_scale(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (N, 2) and the standard deviation (N, 2) of the target, in crop sizes, as poses have them."""
    a, b, c, d = inputs.unbind(dim=1)
    mu = 0.25 * torch.stack([torch.sin(2 * a + b), torch.cos(2 * b) * c], dim=1)
    log_sigma = math.log(0.05) + 0.7 * torch.stack([torch.sin(2 * c + a), torch.tanh(2 * d) - 0.3 * b], dim=1)
    return mu, log_sigma.exp()


def draw(noise: str, count: int) -> tuple[Tensor, Tensor]:
    """Random inputs (N, INPUTS) in [−1, 1] and targets (N, 1, 2)."""
    inputs = 2 * torch.rand(count, INPUTS) - 1
    mu, sigma = true_location_and_scale(inputs)
    return inputs, (mu + sigma * NOISES[noise].sample(count))[:, None]


def study(loss: str, noise: str, seed: int, steps: tuple[int, ...], batch_size: int = 256) -> Result:
    """Train a loss of LOSS_CONFIGS on a noise of NOISES until the last of `steps`; judge it at each."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(10_000 + seed)
        inputs, targets = draw(noise, TEST_POINTS)
        torch.manual_seed(seed)
        config = LOSS_CONFIGS[loss]
        network = Network(LOSSES[config.name].needs_sigma)
        criterion = build_criterion(config, num_joints=1)
        optimizer = torch.optim.Adam([*network.parameters(), *criterion.parameters()], lr=2e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps[-1])
        excess_nll = []
        for step in range(1, steps[-1] + 1):
            batch, labels = draw(noise, batch_size)
            optimizer.zero_grad()
            criterion(network(batch), labels, torch.ones_like(labels)).mean().backward()
            optimizer.step()
            schedule.step()
            if step in steps:
                excess_nll.append(_excess_nll(network, criterion, noise, inputs, targets))
        return Result(steps, tuple(excess_nll), *_errors(network, criterion, inputs, targets))


@torch.no_grad()
def _excess_nll(network: Network, criterion: Criterion, noise: str, inputs: Tensor, targets: Tensor) -> float:
    """Mean of log p_true − log p_predicted at the test targets: the Kullback-Leibler divergence, estimated."""
    mu, sigma = true_location_and_scale(inputs)
    truth = NOISES[noise].log_prob((targets[:, 0] - mu) / sigma) - sigma.log().sum(dim=1)
    output = network(inputs)
    scale = _constant_scale(output.mu, targets, criterion) if output.sigma is None else output.sigma
    joint = torch.zeros(len(inputs), dtype=torch.long)
    criterion.eval()
    predicted = criterion.main.log_prob(output.mu[:, 0], scale[:, 0], targets[:, 0], joint)
    criterion.train()
    return float((truth - predicted).mean())


def _constant_scale(mu: Tensor, targets: Tensor, criterion: Criterion) -> Tensor:
    """The scale that l1 and l2 leave open, by maximum likelihood: one a coordinate, (N, 1, 2)."""
    error = (targets - mu).abs()
    name = type(criterion.main).__name__
    scale = error.mean(dim=0) if name == "L1" else error.square().mean(dim=0).sqrt()
    return scale.expand_as(mu)


@torch.no_grad()
def _errors(network: Network, criterion: Criterion, inputs: Tensor, targets: Tensor) -> tuple[float, float]:
    mu, sigma = true_location_and_scale(inputs)
    output = criterion.main.predict(network(inputs))
    scale = _constant_scale(output.mu, targets, criterion) if output.sigma is None else output.sigma
    spread = scale[:, 0] * criterion.main.residual_spread()
    mu_error = ((output.mu[:, 0] - mu) / sigma).square().mean().sqrt()
    return float(mu_error), float((spread / sigma).log().abs().mean())
