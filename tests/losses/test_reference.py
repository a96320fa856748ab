"""Flow, head and RLE against the authors' code: values and gradients."""

from collections.abc import Mapping

import pytest
import torch
from numpy.typing import NDArray

from rlepose.losses import RLE, Criterion
from rlepose.losses.flows import JointFlows, RealNVP
from rlepose.models.heads import RegressionHead
from rlepose.pose.codec import joint_scores


def reference_flow(reference: Mapping[str, NDArray], prefix: str, dims: int) -> RealNVP:
    """The authors' weights in our module. Their data pass the couplings last to first."""
    flow = RealNVP(dims)
    depth = len(flow.seen)
    state = {}
    for ours in range(depth):
        theirs = depth - 1 - ours
        state[f"couplings.{ours}.mask"] = torch.from_numpy(reference[f"{prefix}mask"][theirs])
        for our_name, their_name in (("scale", "s"), ("shift", "t")):
            for layer in (0, 2, 4):
                for kind in ("weight", "bias"):
                    value = torch.from_numpy(reference[f"{prefix}{their_name}.{theirs}.{layer}.{kind}"])
                    state[f"couplings.{ours}.{our_name}.{layer}.{kind}"] = value
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
        # Gradients reach 1,000: the authors' own differ from those in double precision by 0.001, as ours do.
        atol = 1e-5 * expected.abs().max().item() if key == "grad_x" else 1e-5
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=atol, msg=lambda text, key=key: f"{key}: {text}")
    torch.testing.assert_close(
        flow.inverse(z)[0], torch.from_numpy(reference[f"flow{dims}d/x_again"]), rtol=1e-5, atol=1e-4
    )


def tensor(reference: Mapping[str, NDArray], key: str) -> torch.Tensor:
    return torch.from_numpy(reference[key])


def reference_head(reference: Mapping[str, NDArray], prefix: str, joints: int, dims: int) -> RegressionHead:
    head = RegressionHead([512], [32], joints, dims)
    names = [key for key in reference if key.startswith(f"{prefix}/fc_")]
    ours = {"fc_coord": "coordinates", "fc_sigma": "scales"}
    layers = {ours[name.split("/")[1]] + "." + name.rpartition(".")[2].rpartition("/")[2]: name for name in names}
    head.load_state_dict({name: tensor(reference, key) for name, key in layers.items()})
    return head


def test_mu_sigma_and_score_are_the_authors(reference: Mapping[str, NDArray]) -> None:
    head = reference_head(reference, "head2d", 17, 2)
    output = head([tensor(reference, "head2d/features")[..., None, None]])
    torch.testing.assert_close(output.mu, tensor(reference, "head2d/mu"), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(output.sigma, tensor(reference, "head2d/sigma"), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(joint_scores(output), tensor(reference, "head2d/score")[..., 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("prefix", "flows"), [("head2d", ["flow"]), ("head3d", ["flow3d", "flow2d"])])
def test_loss_and_gradients_are_the_authors(reference: Mapping[str, NDArray], prefix: str, flows: list[str]) -> None:
    """In 3-D half of the joints lack the depth: they are scored in 2-D."""
    joints, dims = reference[f"{prefix}/target"].shape[1:]
    head = reference_head(reference, prefix, joints, dims)
    criterion = Criterion(
        [
            RLE(JointFlows([reference_flow(reference, f"{prefix}/{name}/", dims - fewer)]))
            for fewer, name in enumerate(flows)
        ]
    )
    features = tensor(reference, f"{prefix}/features").requires_grad_()
    target, weight = tensor(reference, f"{prefix}/target"), tensor(reference, f"{prefix}/weight")
    loss = criterion(head([features[..., None, None]]), target, weight).mean()
    loss.backward()
    assert loss.item() == pytest.approx(reference[f"{prefix}/loss"].item(), rel=1e-5)
    gradients = {"grad_features": features.grad}
    if prefix == "head2d":
        gradients["grad_fc_sigma"] = head.scales.weight.grad
        # Their first coupling is the last that data pass.
        gradients["grad_flow_s0_0"] = next(iter(criterion.main.flows)).weights[0].grad[-1, 0]
    for key, ours in gradients.items():
        expected = tensor(reference, f"{prefix}/{key}")
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())
