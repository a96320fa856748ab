"""Build a criterion from options. `LOSSES` and `FLOWS` map variant names to classes."""

from collections.abc import Callable
from typing import Any

from rlepose.errors import InputError
from rlepose.losses.criterion import Criterion
from rlepose.losses.distance import L1, L2
from rlepose.losses.flows import Flow, JointFlows, RealNVP
from rlepose.losses.heatmap import HeatmapMSE
from rlepose.losses.likelihood import DLE, Basic, Gaussian, JointLikelihood, Laplace, LocationScale
from rlepose.losses.options import FlowConfig, FlowLossConfig, HeatmapMSEConfig, LossConfig
from rlepose.losses.rle import RLE
from rlepose.losses.zuko_flows import MAF, NSF
from rlepose.options import own_options
from rlepose.pose.skeleton import H36M_ROOT

LIKELIHOODS: dict[str, type[JointLikelihood]] = {
    "l1": L1,
    "l2": L2,
    "gaussian": Gaussian,
    "laplace": Laplace,
    "basic": Basic,
    "dle": DLE,
    "rle": RLE,
}
LOSSES: dict[str, type[JointLikelihood] | type[HeatmapMSE]] = {**LIKELIHOODS, "heatmap_mse": HeatmapMSE}
FLOWS: dict[str, Callable[..., Flow]] = {"realnvp": RealNVP, "nsf": NSF, "maf": MAF}


def build_criterion(config: LossConfig, num_joints: int, dims: int = 2) -> Criterion:
    """Return the loss of a config. In 3-D, a second, planar likelihood scores joints without a depth label."""
    if isinstance(config, HeatmapMSEConfig):
        return HeatmapMSE(config.heatmap.sigma, config.heatmap.centers == "rounded")
    likelihoods = [build_likelihood(config, num_joints, d) for d in ([3, 2] if dims == 3 else [dims])]
    return Criterion(likelihoods, planar=[H36M_ROOT] if dims == 3 and not config.root_depth else [])


def build_likelihood(config: LossConfig, num_joints: int, dims: int) -> JointLikelihood:
    """Return the likelihood of joints with all coordinates labelled; the config's loss is one of LIKELIHOODS."""
    likelihood: Any = LIKELIHOODS[config.name]
    if not isinstance(config, FlowLossConfig):
        return likelihood(dims, **own_options(config, LossConfig))
    flows = JointFlows([_build_flow(config.flow, dims) for _ in range(num_joints if config.flow.per_joint else 1)])
    return likelihood(flows, **own_options(config, FlowLossConfig))


def _build_flow(config: FlowConfig, dims: int) -> Flow:
    try:
        return FLOWS[config.name](dims, base=config.base, **own_options(config, FlowConfig))
    except ValueError as error:
        raise InputError(f"loss.flow: {error}") from error


__all__ = [
    "DLE",
    "FLOWS",
    "L1",
    "L2",
    "LIKELIHOODS",
    "LOSSES",
    "RLE",
    "Basic",
    "Criterion",
    "Flow",
    "Gaussian",
    "HeatmapMSE",
    "JointFlows",
    "JointLikelihood",
    "Laplace",
    "LocationScale",
    "RealNVP",
    "build_criterion",
    "build_likelihood",
]
