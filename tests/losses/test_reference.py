"""Flow, head and RLE against the authors' code: values and gradients."""

from collections.abc import Mapping

import pytest
import torch
from numpy.typing import NDArray

from rlepose.codec import joint_scores
from rlepose.losses import RLE
from rlepose.losses.flows import RealNVP
from rlepose.models.heads import RegressionHead


def reference_flow(reference: Mapping[str, NDArray], prefix: str, dims: int) -> RealNVP:
    """The authors' weights in our module. Their data pass the couplings last to first."""
    flow = RealNVP(dims)
    depth = len(flow.couplings)
    state = {}
    for ours in range(depth):
        theirs = depth - 1 - ours
        state[f"couplings.{ours}.mask"] = torch.from_numpy(reference[f"{prefix}mask"][theirs])
        for our_name, their_name in (("scale", "s"), ("shift", "t")):
            for layer in (0, 2, 4):
                for kind in ("weight", "bias"):
                    value = torch.from_numpy(reference[f"{prefix}{their_name}.{theirs}.{layer}.{kind}"])
                    state[f"couplings.{ours}.{our_name}.{layer}.{kind}"] = value
    assert all(torch.equal(flow.state_dict()[key], state[key]) for key in state if key.endswith("mask"))
    flow.load_state_dict(state)
    return flow


@pytest.mark.parametrize("dims", [2, 3])
def test_densities_and_gradients_are_the_authors(reference: Mapping[str, NDArray], dims: int) -> None:
    flow = reference_flow(reference, f"flow{dims}d/state/", dims)
    x = torch.from_numpy(reference[f"flow{dims}d/x"]).requires_grad_()
    z, log_det = flow(x)
    log_prob = flow.log_prob(x)
    log_prob.sum().backward()
    for ours, key in ((z, "z"), (log_det, "log_det"), (log_prob, "log_prob"), (x.grad, "grad_x")):
        expected = torch.from_numpy(reference[f"flow{dims}d/{key}"])
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}")
    torch.testing.assert_close(
        flow.inverse(z)[0], torch.from_numpy(reference[f"flow{dims}d/x_again"]), rtol=1e-5, atol=1e-4
    )


def tensor(reference: Mapping[str, NDArray], key: str) -> torch.Tensor:
    return torch.from_numpy(reference[f"head2d/{key}"])


@pytest.fixture
def head(reference: Mapping[str, NDArray]) -> RegressionHead:
    head = RegressionHead(512, 17)
    head.load_state_dict(
        {
            "coordinates.weight": tensor(reference, "fc_coord/linear.weight"),
            "coordinates.bias": tensor(reference, "fc_coord/linear.bias"),
            "scales.weight": tensor(reference, "fc_sigma/linear.weight"),
            "scales.bias": tensor(reference, "fc_sigma/linear.bias"),
        }
    )
    return head


def test_mu_sigma_and_score_are_the_authors(head: RegressionHead, reference: Mapping[str, NDArray]) -> None:
    output = head([tensor(reference, "features")[..., None, None]])
    torch.testing.assert_close(output.mu, tensor(reference, "mu"), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(output.sigma, tensor(reference, "sigma"), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(joint_scores(output), tensor(reference, "score")[..., 0], rtol=1e-5, atol=1e-6)


def test_loss_and_gradients_are_the_authors(head: RegressionHead, reference: Mapping[str, NDArray]) -> None:
    criterion = RLE()
    criterion.flow = reference_flow(reference, "head2d/flow/", 2)
    features = tensor(reference, "features").requires_grad_()
    loss = criterion(head([features[..., None, None]]), tensor(reference, "target"), tensor(reference, "weight"))
    loss.backward()
    assert loss.item() == pytest.approx(reference["head2d/loss"].item(), rel=1e-5)
    for ours, key in (
        (features.grad, "grad_features"),
        (head.scales.weight.grad, "grad_fc_sigma"),
        # Their first coupling is the last that data pass.
        (criterion.flow.couplings[-1].scale[0].weight.grad, "grad_flow_s0_0"),
    ):
        expected = tensor(reference, key)
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())
