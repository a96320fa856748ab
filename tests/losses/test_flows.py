import math

import pytest
import torch

from rlepose.losses import FLOWS
from rlepose.losses.densities import DENSITIES
from rlepose.losses.flows import Flow, JointFlows, RealNVP
from rlepose.losses.options import AnyFlow, FlowConfig
from rlepose.options import own_options, section_fields, variants


def new_flow(kind: str, dims: int = 2, depth: int = 3, width: int = 16, base: str = "gaussian") -> Flow:
    """A flow of the config's; it gets of the options those that it has."""
    variant = variants(AnyFlow)[kind]
    options = {name: value for name, value in (("depth", depth), ("width", width)) if name in section_fields(variant)}
    return FLOWS[kind](dims, base=base, **own_options(variant(**options), FlowConfig))


def wild_flow(
    kind: str, dims: int, depth: int = 4, width: int = 16, spread: float = 0.3, base: str = "gaussian"
) -> Flow:
    """A flow far from the identity."""
    torch.manual_seed(0)
    flow = new_flow(kind, dims, depth, width, base).double()
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    return flow


def grid(dims: int, low: float, high: float, count: int) -> tuple[torch.Tensor, float]:
    """Points (count^dims, dims) and the volume of a cell."""
    axis = torch.linspace(low, high, count, dtype=torch.float64)
    return torch.cartesian_prod(*[axis] * dims).view(-1, dims), float(axis[1] - axis[0]) ** dims


def whole_plane(kind: str, dims: int) -> tuple[torch.Tensor, float]:
    """A grid with all of a wild flow's mass: splines leave what is beyond 5 as it is."""
    return grid(dims, -8, 8, 401) if kind == "nsf" else grid(dims, -25, 25, 801)


@pytest.mark.parametrize("dims", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", list(FLOWS))
def test_inverse_undoes_forward(kind: str, dims: int) -> None:
    flow = wild_flow(kind, dims)
    x = torch.randn(100, dims, dtype=torch.float64)
    z, log_det = flow(x)
    again, log_det_back = flow.inverse(z)
    torch.testing.assert_close(again, x)
    torch.testing.assert_close(log_det_back, -log_det)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", list(FLOWS))
def test_inverse_undoes_forward_in_float32(kind: str, dims: int) -> None:
    flow = wild_flow(kind, dims, spread=0.15).float()
    x = torch.randn(100, dims)
    torch.testing.assert_close(flow.inverse(flow(x)[0])[0], x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", list(FLOWS))
def test_log_det_is_that_of_the_jacobian(kind: str, dims: int) -> None:
    flow = wild_flow(kind, dims)
    for x in torch.randn(5, dims, dtype=torch.float64):
        jacobian = torch.autograd.functional.jacobian(lambda point: flow(point[None])[0][0], x)
        torch.testing.assert_close(flow(x[None])[1][0], torch.linalg.slogdet(jacobian).logabsdet)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", list(FLOWS))
def test_the_density_integrates_to_one(kind: str, dims: int) -> None:
    flow = wild_flow(kind, dims)
    points, cell = whole_plane(kind, dims)
    with torch.no_grad():
        mass = sum(flow.log_prob(part).exp().sum().item() for part in points.split(200_000)) * cell
    assert mass == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", list(FLOWS))
def test_the_density_integrates_to_one_in_three_dimensions(kind: str) -> None:
    """By importance sampling at quasi-random points of a wider normal: a grid would take millions."""
    flow, width = wild_flow(kind, 3, spread=0.1), 1.5
    uniform = torch.quasirandom.SobolEngine(3, scramble=True, seed=0).draw(1 << 17, dtype=torch.float64)
    points = width * torch.special.ndtri(uniform)
    log_proposal = -0.5 * (points / width).square().sum(dim=1) - 3 * math.log(width * math.sqrt(2 * math.pi))
    with torch.no_grad():
        mass = (flow.log_prob(points) - log_proposal).exp().mean().item()
    assert mass == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", list(FLOWS))
def test_gradients_are_right_for_every_parameter(kind: str) -> None:
    flow = wild_flow(kind, 2, depth=2, width=4)
    x = torch.randn(3, 2, dtype=torch.float64)
    names = [name for name, _ in flow.named_parameters()]

    def log_prob(*values: torch.Tensor) -> torch.Tensor:
        z, log_det = torch.func.functional_call(flow, dict(zip(names, values, strict=True)), (x,))
        return torch.cat([z.sum(dim=1), log_det])

    assert torch.autograd.gradcheck(log_prob, tuple(p.detach().requires_grad_() for p in flow.parameters()))


@pytest.mark.parametrize("base", list(DENSITIES))
@pytest.mark.parametrize("kind", list(FLOWS))
def test_samples_follow_the_density(kind: str, base: str) -> None:
    """The entropy estimated from samples is that of the grid integral."""
    flow = wild_flow(kind, 2, base=base)
    points, cell = whole_plane(kind, 2)
    with torch.no_grad():
        from_samples = -flow.log_prob(flow.sample(20_000, torch.Generator().manual_seed(0))).mean()
        log_density = flow.log_prob(points)
        on_grid = -(log_density.exp() * log_density).sum() * cell
    assert from_samples.item() == pytest.approx(on_grid.item(), abs=0.03)


def test_a_new_flow_is_nearly_its_base() -> None:
    x = torch.randn(50, 2)
    normal = -0.5 * x.square().sum(dim=1) - math.log(2 * math.pi)
    torch.testing.assert_close(RealNVP(2).log_prob(x), normal, atol=0.01, rtol=0)
    laplace = -x.abs().sum(dim=1) - 2 * math.log(2)
    torch.testing.assert_close(RealNVP(2, base="laplace").log_prob(x), laplace, atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", list(FLOWS))
def test_fitting_learns_a_correlated_density(kind: str) -> None:
    """Maximum likelihood reaches the true entropy of a narrow, rotated normal."""
    torch.manual_seed(0)
    factor = torch.tensor([[1.0, 0.0], [1.5, 0.3]])
    entropy = math.log(2 * math.pi * math.e) + torch.linalg.slogdet(factor).logabsdet.item()
    flow = new_flow(kind, 2, 4, 32)
    optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
    for _ in range(300):
        loss = -flow.log_prob(torch.randn(512, 2) @ factor.T).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        nll = -flow.log_prob(torch.randn(20_000, 2) @ factor.T).mean().item()
    assert nll == pytest.approx(entropy, abs=0.05)


@pytest.mark.parametrize("kind", list(FLOWS))
def test_an_empty_batch_gives_zero_gradients_to_all_parameters(kind: str) -> None:
    """A rank without a visible joint must take part in the reduction."""
    flow = new_flow(kind)
    flow.log_prob(torch.zeros(0, 2)).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in flow.parameters())


@pytest.mark.parametrize("kind", list(FLOWS))
def test_computes_in_float32_inside_autocast(kind: str) -> None:
    flow, x = new_flow(kind), torch.randn(8, 2)
    with torch.autocast("cpu", torch.bfloat16):
        inside = flow.log_prob(x.bfloat16())
    assert inside.dtype == torch.float32
    assert torch.equal(inside, flow.log_prob(x.bfloat16().float()))


@pytest.mark.parametrize("kind", list(FLOWS))
def test_points_of_another_dimension_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"a density on R\^2, got points of shape \(4, 3\)"):
        new_flow(kind).log_prob(torch.zeros(4, 3))


# --- RealNVP's options ----------------------------------------------------------------------------------------------


def test_masks_say_which_coordinates_a_coupling_changes() -> None:
    flow = RealNVP(3, depth=2, masks=[[1, 0, 1], [0, 1, 0]]).double()
    torch.nn.init.zeros_(flow.weights[2])
    torch.nn.init.normal_(flow.biases[2].data[0])
    z, _ = flow(x := torch.randn(5, 3, dtype=torch.float64))
    assert torch.equal(z[:, [0, 2]], x[:, [0, 2]])
    assert not torch.equal(z[:, 1], x[:, 1])


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([[1, 0, 0]], "2 numbers, 0 or 1"),
        ([], "2 numbers, 0 or 1"),
        ([[1, 2]], "2 numbers, 0 or 1"),
        ([[1, 0], [1, 0]], "leave a coordinate unchanged in all 6 couplings"),
    ],
)
def test_masks_that_make_no_density_are_refused(masks: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RealNVP(2, masks=masks)


def test_a_state_of_other_masks_is_refused() -> None:
    state = {"couplings.0.mask": torch.tensor([0.0, 1.0]), "couplings.1.mask": torch.tensor([1.0, 0.0])}
    sizes = {0: (4, 2), 2: (4, 4), 4: (2, 4)}
    for name in (f"couplings.{i}.{net}.{layer}" for i in (0, 1) for net in ("scale", "shift") for layer in sizes):
        size = sizes[int(name[-1])]
        state |= {f"{name}.weight": torch.ones(size), f"{name}.bias": torch.ones(size[0])}
    RealNVP(2, 2, 4, masks=[[0, 1], [1, 0]]).load_state_dict(state)
    with pytest.raises(RuntimeError, match="masks in the state dict differ"):
        RealNVP(2, 2, 4).load_state_dict(state)


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_a_coupling_scales_within_its_bound(bound: float) -> None:
    flow = RealNVP(1, depth=1, scale_bound=bound)
    flow.biases[2].data[0, 0] = 100
    assert flow(torch.zeros(1, 1))[1].item() == pytest.approx(-bound)


# --- one flow a joint -----------------------------------------------------------------------------------------------


def test_each_joint_is_scored_by_its_own_flow() -> None:
    flows = JointFlows([wild_flow("realnvp", 2, spread=s) for s in (0.1, 0.2, 0.3)])
    x, joint = torch.randn(20, 2, dtype=torch.float64), torch.arange(20) * 7 % 3
    log_prob, (z, _) = flows.log_prob(x, joint), flows(x, joint)
    for index, flow in enumerate(flows):
        torch.testing.assert_close(log_prob[joint == index], flow.log_prob(x[joint == index]))
    torch.testing.assert_close(flows.inverse(z, joint)[0], x)


def test_a_joint_that_does_not_occur_gets_a_zero_gradient() -> None:
    flows = JointFlows([RealNVP(2, depth=2, width=4) for _ in range(3)])
    flows.log_prob(torch.randn(4, 2), torch.tensor([0, 0, 2, 0])).sum().backward()
    norms = [sum(p.grad.abs().sum() for p in flow.parameters()) for flow in flows]
    assert norms[0] > 0 and norms[1] == 0 and norms[2] > 0


@torch.no_grad()
def test_a_realnvp_started_as_the_authors_scatters_about_as_theirs() -> None:
    generator = torch.Generator().manual_seed(0)
    samples = []
    for seed in range(50):
        torch.manual_seed(seed)
        samples.append(RealNVP(2, init="torch").sample(2000, generator))
    # The quartiles of their standard deviations and means, over 200 seeds.
    shares = torch.tensor([0.25, 0.5, 0.75])
    spread, mean = torch.stack(samples).std(dim=1), torch.stack(samples).mean(dim=1).abs()
    torch.testing.assert_close(spread.quantile(shares), torch.tensor([0.88, 1.00, 1.14]), atol=0.07, rtol=0)
    torch.testing.assert_close(mean.quantile(shares), torch.tensor([0.06, 0.13, 0.22]), atol=0.05, rtol=0)


@torch.no_grad()
def test_a_realnvps_torch_start_is_that_of_linear_layers() -> None:
    torch.manual_seed(0)
    flow = RealNVP(3, depth=40, width=64, init="torch")
    for values, inputs in zip([*flow.weights, *flow.biases], [3, 64, 64] * 2, strict=True):
        bound = 1 / math.sqrt(inputs)
        assert 0.95 * bound < values.abs().max() <= bound
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_a_realnvp_starts_as_nearly_its_base_where_nothing_else_is_said() -> None:
    torch.manual_seed(0)
    samples = RealNVP(2).sample(4000, torch.Generator().manual_seed(0))
    assert (samples.std(dim=0) - 1).abs().max() < 0.05 and samples.mean(dim=0).abs().max() < 0.05
