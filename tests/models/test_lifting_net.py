"""The network that lifts: where it starts, what it makes of its inputs, and its options."""

import pytest
import torch

from rlepose.models.lifting_net import LiftingNet, build_lifting_net
from rlepose.models.options import LiftingModelConfig


def test_a_fresh_network_predicts_the_root_for_all_joints_and_a_sigma_of_95_mm() -> None:
    network = LiftingNet(34, 16, width=16).eval()
    output = network(torch.randn(5, 34))
    assert output.sigma is not None
    assert output.mu.shape == output.sigma.shape == (5, 16, 3)
    assert output.mu.abs().max() < 0.05 and (2000 * output.sigma - 95).abs().max() < 10


def test_without_sigma_it_gives_none() -> None:
    assert LiftingNet(34, 16, width=16, predict_sigma=False).eval()(torch.randn(2, 34)).sigma is None


def test_inputs_are_normalised_by_those_that_it_was_shown() -> None:
    torch.manual_seed(0)
    network, inputs = LiftingNet(34, 16, width=16).eval(), torch.randn(100, 34) * 3 + 5
    seen = []
    network.trunk.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network.normalize_by(inputs)
    network(inputs)
    torch.testing.assert_close(seen[0].mean(dim=0), torch.zeros(34), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0].std(dim=0), torch.ones(34), atol=1e-5, rtol=0)
    assert {"mean", "std"} <= network.state_dict().keys()


@pytest.mark.parametrize("count", [1, 50])
def test_an_input_that_never_changes_gives_no_nan(count: int) -> None:
    network, inputs = LiftingNet(34, 16, width=16).eval(), torch.randn(count, 34)
    inputs[:, 0] = 0.37  # every person in the middle of the picture, say
    network.normalize_by(inputs)
    mu = network(inputs + 0.1).mu
    assert mu.isfinite().all() and mu.abs().max() < 1


def test_the_network_has_the_size_of_the_papers() -> None:
    network = build_lifting_net(LiftingModelConfig(), 34, 16, predict_sigma=False)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(4.3, abs=0.05)


def test_options_make_the_network() -> None:
    network = build_lifting_net(LiftingModelConfig(width=24, blocks=3, dropout=0.4), 34, 16, predict_sigma=True)
    linear = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    assert [layer.out_features for layer in linear] == [24] * 7 + [48] * 2
    assert {module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)} == {0.4}


def test_under_autocast_positions_are_not_rounded_to_bfloat16() -> None:
    network = LiftingNet(34, 16, width=16).eval()
    torch.nn.init.normal_(network.coordinates.weight)
    with torch.autocast("cpu", torch.bfloat16):
        mu = network(torch.randn(4, 34)).mu
    assert mu.dtype == torch.float32 and not torch.equal(mu, mu.bfloat16().float())
