"""A training step of the lifting task, held to the same step written out plainly, on identical batches."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, linear

from rlepose.config.config import Config
from rlepose.jobs.train import build_trainer
from rlepose.losses import build_likelihood
from rlepose.runtime.distributed import Ranks

ALONE = Ranks(0, 1, torch.device("cpu"))
# Rarely above the limit in tests without it, so that it cuts most steps here.
LIMIT = 5.0
# Batch normalisation takes these out again: rounding alone decides the sign of their gradient, and Adam's step with it.
BEFORE_NORM = r"^trunk\.0\.bias|layers\.[04]\.bias"


class PlainStep:
    """Network, loss of one likelihood, limited gradient and Adam, in functions."""

    def __init__(self, config: Config, model: dict[str, Tensor], criterion: dict[str, Tensor]) -> None:
        self.likelihood = build_likelihood(config.loss, 16, 3)
        mine = {name.removeprefix("likelihoods.0."): value for name, value in criterion.items()}
        self.likelihood.load_state_dict(mine, strict=True)
        learned = {name: value for name, value in model.items() if "running" not in name and "num_" not in name}
        self.weights = {name: value.clone() for name, value in learned.items()}
        self.fixed = self.weights.pop("mean"), self.weights.pop("std")
        self.parameters = [*self.weights.values(), *self.likelihood.parameters()]
        for parameter in self.parameters:
            parameter.requires_grad_()
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]
        self.count = 0

    def layer(self, x: Tensor, linear_name: str, norm_name: str) -> Tensor:
        w = self.weights
        x = linear(x, w[f"{linear_name}.weight"], w[f"{linear_name}.bias"])
        return batch_norm(x, None, None, w[f"{norm_name}.weight"], w[f"{norm_name}.bias"], training=True).relu()

    def network(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = self.fixed
        x = self.layer((inputs - mean) / std, "trunk.0", "trunk.1")
        for block in (4, 5):
            layers = f"trunk.{block}.layers"
            x = x + self.layer(self.layer(x, f"{layers}.0", f"{layers}.1"), f"{layers}.4", f"{layers}.5")
        w = self.weights
        mu = linear(x, w["coordinates.weight"], w["coordinates.bias"])
        if "scales.weight" not in w:
            return mu, torch.ones_like(mu)
        return mu, 1 / (1 + torch.exp(-linear(x, w["scales.weight"], w["scales.bias"])))

    def __call__(self, inputs: Tensor, target: Tensor, rate: float) -> float:
        mu, sigma = self.network(inputs)
        joint = torch.arange(16).repeat(len(inputs))
        rows = (values.reshape(-1, 3) for values in (mu, sigma, target))
        loss = self.likelihood.loss(*rows, joint).sum() / len(inputs)
        gradients = torch.autograd.grad(loss, self.parameters)
        norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
        self.count += 1
        with torch.no_grad():
            for parameter, gradient, (first, second) in zip(self.parameters, gradients, self.moments, strict=True):
                gradient = gradient * min(1.0, LIMIT / (norm + 1e-6))
                first.mul_(0.9).add_(0.1 * gradient)
                second.mul_(0.999).add_(0.001 * gradient.square())
                size = (second / (1 - 0.999**self.count)).sqrt() + 1e-8
                parameter -= rate * first / (1 - 0.9**self.count) / size
        return loss.item()


@pytest.mark.parametrize("loss", ["l1", "l2", "gaussian", "laplace", "dle", "rle", "rle, form: paper"])
def test_losses_and_weights_are_those_of_the_plain_step(lifting_config: Callable[..., Config], loss: str) -> None:
    config = lifting_config(f"loss={{name: {loss}}}", f"train.clip_grad_norm={LIMIT}", "model.width=16")
    trainer = build_trainer(config, ALONE)
    trainer.step_module.train()
    step = trainer.task.step
    plain = PlainStep(config, step.model.state_dict(), step.criterion.state_dict())
    for batch in trainer.task.loader:
        found, taken = trainer.step(batch)
        expected = plain(batch.inputs, batch.target, config.train.optimizer.lr)
        assert found.item() == pytest.approx(expected, rel=1e-4, abs=1e-4) and taken == 1
    assert plain.count == 5
    state = step.model.state_dict() | step.criterion.state_dict()
    learned = plain.weights | {f"likelihoods.0.{name}": p for name, p in plain.likelihood.named_parameters()}
    for name, expected in learned.items():
        if re.search(BEFORE_NORM, name) is None:
            assert (state[name] - expected).abs().max() < 1e-3 and (state[name] - expected).abs().mean() < 2e-6, name
