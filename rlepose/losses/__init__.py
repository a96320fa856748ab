"""What is minimised. `LOSSES` maps the config's names to classes."""

from typing import Any

from rlepose.config import FlowConfig, LossConfig
from rlepose.errors import InputError
from rlepose.losses.criterion import Criterion
from rlepose.losses.distance import L1, L2
from rlepose.losses.flows import Flow, JointFlows, RealNVP
from rlepose.losses.heatmap import HeatmapMSE
from rlepose.losses.likelihood import DLE, Basic, Gaussian, JointLikelihood, Laplace, LocationScale
from rlepose.losses.rle import RLE
from rlepose.losses.zuko_flows import ZukoFlow

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


def build_criterion(config: LossConfig, num_joints: int, dims: int = 2) -> Criterion:
    """The loss of a config. In 3-D, joints without depth label have a likelihood of x and y."""
    if config.name == "heatmap_mse":
        return HeatmapMSE(config.heatmap.sigma, config.heatmap.centers == "rounded")
    return Criterion([_build_likelihood(config, num_joints, d) for d in ([3, 2] if dims == 3 else [dims])])


def _build_likelihood(config: LossConfig, num_joints: int, dims: int) -> JointLikelihood:
    kind: Any = LIKELIHOODS[config.name]
    if config.name not in ("basic", "dle", "rle"):
        return kind(dims)
    flows = JointFlows([_build_flow(config.flow, dims) for _ in range(num_joints if config.flow.per_joint else 1)])
    if config.name == "rle":
        return RLE(flows, config.form, config.q, config.q_scale)
    return kind(flows)


def _build_flow(config: FlowConfig, dims: int) -> Flow:
    if config.name == "realnvp":
        try:
            return RealNVP(
                dims, config.depth, config.width, config.masks, config.activation, config.scale_bound, config.base
            )
        except ValueError as error:
            raise InputError(f"loss.flow.masks: {error}") from error
    return ZukoFlow(config.name, dims, config.depth, config.width, config.activation, config.base)


__all__ = [
    "DLE",
    "L1",
    "L2",
    "LIKELIHOODS",
    "LOSSES",
    "RLE",
    "Basic",
    "Criterion",
    "Gaussian",
    "HeatmapMSE",
    "JointFlows",
    "JointLikelihood",
    "Laplace",
    "LocationScale",
    "RealNVP",
    "build_criterion",
]
