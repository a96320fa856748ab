"""Does a loss learn the true density? Regression with noise of known density, location and scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor, nn

from rlepose.losses import L1, Basic, LocationScale, build_criterion
from rlepose.losses.options import (
    BasicConfig,
    DLEConfig,
    GaussianConfig,
    L1Config,
    L2Config,
    LaplaceConfig,
    LossConfig,
    RLEConfig,
)
from rlepose.models.heads import RegressionHead
from rlepose.pose.codec import PoseOutput
from rlepose.study.noise import NOISES

INPUTS = 4
TEST_POINTS = 10_000
RESIDUALS = 1 << 14  # drawn from a learned density, to estimate its mean and spread to 1 %
BATCH_SIZE = 512
LEARNING_RATE = 1e-2
LOSS_CONFIGS: dict[str, LossConfig] = {
    "l2": L2Config(),
    "l1": L1Config(),
    "gaussian": GaussianConfig(),
    "laplace": LaplaceConfig(),
    "basic": BasicConfig(),
    "dle": DLEConfig(),
    "rle original": RLEConfig(form="original"),
    "rle paper": RLEConfig(form="paper"),
}

SNAPSHOT_INPUT = (0.3, -0.4, 0.5, 0.2)
SNAPSHOT_AXIS = tuple(-3.5 + 0.0875 * i for i in range(81))


@dataclass(frozen=True)
class Case:
    """One training: a loss of LOSS_CONFIGS on a noise of NOISES."""

    loss: str
    noise: str
    seed: int


@dataclass(frozen=True)
class Snapshot:
    """The predicted density of the target at SNAPSHOT_INPUT, in true standard deviations around the true mean.

    density: (81, 81), per squared standard deviation, at y = SNAPSHOT_AXIS[row], x = SNAPSHOT_AXIS[column].
    mu:      (2,), the predicted position, x and y.
    """

    density: Tensor
    mu: tuple[float, float]


@dataclass(frozen=True)
class Result:
    """The evaluation of one training on new points.

    excess_nll:  nats above the NLL of the true density, at each of `steps`; below 0 only by sampling error.
    mu_error:    root mean square of predicted minus true mean, in true standard deviations.
    mean_error:  the same for the mean of the predicted density, which differs from mu if a flow is off-centre.
    sigma_error: mean of |log(predicted / true standard deviation)| over points and coordinates; 0.1 is 10 %.
    """

    case: Case
    steps: tuple[int, ...]
    excess_nll: tuple[float, ...]
    mu_error: float
    mean_error: float
    sigma_error: float
    snapshot: Snapshot


class Model(nn.Module):
    """A small perceptron instead of the backbone, the regression head for poses, and the loss."""

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(INPUTS, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.head = RegressionHead([64], [1], 1, predict_sigma=config.needs_sigma, normalize_features=False)
        self.criterion = build_criterion(config, num_joints=1)
        self.constant_sigma = torch.ones(2)

    def forward(self, inputs: Tensor) -> PoseOutput:
        """Map inputs (N, INPUTS) to mu, sigma (N, 1, 2) of the head."""
        return self.head([self.features(inputs)[..., None, None]])

    @torch.no_grad()
    def fit_constant_sigma(self, inputs: Tensor, targets: Tensor) -> None:
        """Fit the scale that l1 and l2 leave open by maximum likelihood, one per coordinate. targets (N, 1, 2)."""
        error = (targets - self(inputs).mu)[:, 0]
        is_l1 = isinstance(self.criterion.main, L1)
        self.constant_sigma = error.abs().mean(dim=0) if is_l1 else error.square().mean(dim=0).sqrt()

    def complete(self, output: PoseOutput) -> tuple[Tensor, Tensor]:
        """Return mu and sigma (N, 2); sigma is the fitted constant if the head has none."""
        mu = output.mu[:, 0]
        return mu, self.constant_sigma.expand_as(mu) if output.sigma is None else output.sigma[:, 0]

    @torch.no_grad()
    def log_prob(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the log density of targets (N, 1, 2), nats: (N,)."""
        joint = torch.zeros(len(inputs), dtype=torch.long)
        self.criterion.eval()
        values = self.criterion.main.log_prob(*self.complete(self(inputs)), targets[:, 0], joint)
        self.criterion.train()
        return values


def true_location_and_scale(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (N, 2) and standard deviation (N, 2) of the target, in crop sizes, as for poses."""
    a, b, c, d = inputs.unbind(dim=1)
    mu = 0.25 * torch.stack([torch.sin(2 * a + b), torch.cos(2 * b) * c], dim=1)
    log_sigma = math.log(0.05) + 0.7 * torch.stack([torch.sin(2 * c + a), torch.tanh(2 * d) - 0.3 * b], dim=1)
    return mu, log_sigma.exp()


def draw(noise: str, count: int) -> tuple[Tensor, Tensor]:
    """Draw inputs (N, INPUTS) in [−1, 1] and targets (N, 1, 2)."""
    inputs = 2 * torch.rand(count, INPUTS) - 1
    mu, sigma = true_location_and_scale(inputs)
    return inputs, (mu + sigma * NOISES[noise].sample(count))[:, None]


def study(case: Case, steps: Sequence[int], batch_size: int = BATCH_SIZE) -> Result:
    """Train until the last of the ascending `steps` and evaluate at each. Equal cases give equal results.

    Restores torch's global random state.
    """
    # Not torch.manual_seed, which would also seed the GPUs' generators.
    generator = torch.default_generator
    with torch.random.fork_rng(devices=[]):
        generator.manual_seed(10_000 + case.seed)
        inputs, targets = draw(case.noise, TEST_POINTS)
        generator.manual_seed(case.seed)
        model = Model(LOSS_CONFIGS[case.loss])
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps[-1])
        excess_nll = []
        for step in range(1, steps[-1] + 1):
            batch, labels = draw(case.noise, batch_size)
            optimizer.zero_grad()
            model.criterion(model(batch), labels, torch.ones_like(labels)).mean().backward()
            optimizer.step()
            schedule.step()
            if step in steps:
                model.fit_constant_sigma(inputs, targets)
                excess_nll.append(_excess_nll(model, case.noise, inputs, targets))
        return Result(case, tuple(steps), tuple(excess_nll), *_errors(model, inputs), _snapshot(model))


def _excess_nll(model: Model, noise: str, inputs: Tensor, targets: Tensor) -> float:
    """Return the mean of log p_true − log p_predicted at the test targets: an estimate of the KL divergence."""
    mu, sigma = true_location_and_scale(inputs)
    truth = NOISES[noise].log_prob((targets[:, 0] - mu) / sigma) - sigma.log().sum(dim=1)
    return float((truth - model.log_prob(inputs, targets)).mean())


@torch.no_grad()
def _errors(model: Model, inputs: Tensor) -> tuple[float, float, float]:
    """Return the errors of mu, of the density's mean, and of its standard deviation; see Result."""
    true_mu, true_sigma = true_location_and_scale(inputs)
    likelihood = model.criterion.main
    output = model(inputs)
    mu, sigma = model.complete(likelihood.predict(output))
    if isinstance(likelihood, LocationScale):
        residuals = likelihood.sample_residuals(RESIDUALS, 0, torch.Generator().manual_seed(0))
        mean, spread = mu + sigma * residuals.mean(dim=0), sigma * residuals.std(dim=0)
    else:
        assert isinstance(likelihood, Basic)
        mean, spread = basic_mean(likelihood, *model.complete(output)), sigma
    mu_error, mean_error = (float(((m - true_mu) / true_sigma).square().mean().sqrt()) for m in (mu, mean))
    return mu_error, mean_error, float((spread / true_sigma).log().abs().mean())


def basic_mean(likelihood: Basic, mu: Tensor, sigma: Tensor) -> Tensor:
    """Return the mean of the flow's image of N(mu, sigma), (N, 2), by Gauss-Hermite quadrature with 5 × 5 points."""
    nodes, weights = (torch.from_numpy(values).float() for values in hermegauss(5))
    weights = weights / weights.sum()
    mean = torch.zeros_like(mu)
    for node, weight in zip(torch.cartesian_prod(nodes, nodes), torch.cartesian_prod(weights, weights), strict=True):
        joint = torch.zeros(len(mu), dtype=torch.long)
        mean += weight.prod() * likelihood.flows.inverse(mu + sigma * node, joint)[0]
    return mean


@torch.no_grad()
def _snapshot(model: Model) -> Snapshot:
    one = torch.tensor([SNAPSHOT_INPUT])
    mu, sigma = true_location_and_scale(one)
    points = snapshot_points()
    log_density = model.log_prob(one.expand(len(points), -1), (mu + sigma * points)[:, None]) + sigma.log().sum()
    predicted = model.complete(model.criterion.main.predict(model(one)))[0]
    x, y = ((predicted - mu) / sigma)[0].tolist()
    return Snapshot(log_density.exp().view(len(SNAPSHOT_AXIS), -1), (x, y))


def snapshot_points() -> Tensor:
    """Return the points of a snapshot, x and y, row by row: (81 · 81, 2)."""
    axis = torch.tensor(SNAPSHOT_AXIS)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)
