"""The network and description to export for a checkpoint, and the inputs for comparing the file with it."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.config.support import exports_of
from rlepose.datasets.formats.h36m import METRIC_JOINTS
from rlepose.datasets.formats.h36m_npz import read_h36m
from rlepose.datasets.lifting_codec import on_plane
from rlepose.datasets.of_config import crops_of
from rlepose.errors import InputError
from rlepose.export.choices import FormatName, Precision
from rlepose.export.description import Description, LiftingDescription
from rlepose.export.lifter import ExportedLifter
from rlepose.export.network import ExportedModule, ExportedNetwork, with_half_backbone
from rlepose.models.options import LiftingModelConfig
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import H36M, H36M_ROOT
from rlepose.runtime.checkpoint import Checkpoint
from rlepose.runtime.trained_lifter import open_lifter
from rlepose.runtime.trained_model import network_from_checkpoint, open_checkpoint

log = logging.getLogger(__name__)

_CHECKED = 16  # inputs
_CALIBRATION_CROPS = 128


class ToExport(NamedTuple):
    """original: the reference for the file. exported: the network to write; the same except for its precision.

    name: of the network, for messages. inputs: for the comparison; called: their name. calibration: crops for int8.
    """

    original: ExportedModule
    exported: ExportedModule
    description: Description | LiftingDescription
    name: str
    inputs: NDArray[Any]
    called: str
    calibration: NDArray[np.uint8] | None = None


def to_export(
    path: Path, config: Config, checkpoint: Checkpoint, file_format: FormatName, precision: Precision
) -> ToExport:
    """Return what to export for a checkpoint; InputError for what no file can contain."""
    if isinstance(config.model, LiftingModelConfig):
        return _lifter(path, config, checkpoint, precision)
    network = network_from_checkpoint(checkpoint, config, path)
    model = open_checkpoint(path, config, checkpoint, torch.device("cpu"), network)
    if file_format not in exports_of(config.task, config.top_down.head.name, config.loss.name, config.dims):
        raise InputError(
            f"{path}: loss.name=basic needs its flow at inference, which is not exported; train with another loss"
        )
    calibration = crops_of(config, "train", _CALIBRATION_CROPS) if precision == "int8" else None
    original = ExportedNetwork(network)
    exported = ExportedNetwork(with_half_backbone(network)) if precision == "float16" else original
    return ToExport(
        original,
        exported,
        describe(config, checkpoint, model.spread, exported, precision),
        config.top_down.backbone.name,
        _check_crops(config),
        "crops",
        calibration,
    )


def describe(
    config: Config, checkpoint: Checkpoint, spread: Floats, network: ExportedNetwork, precision: Precision
) -> Description:
    """Return the description in the exported file; spread: (K, D) standard deviations in units of sigma."""
    return Description(
        skeleton=checkpoint.skeleton,
        input_size_hw=config.data.input_size_hw,
        box_scale=config.data.box_scale,
        outputs=network.output_names,
        precision=precision,
        loss=config.loss.name,
        residual_spread=tuple(tuple(row) for row in spread.tolist()),
        recalibration=checkpoint.recalibration,
    )


def _check_crops(config: Config) -> NDArray[np.uint8]:
    try:
        return crops_of(config, "val", _CHECKED)
    except InputError as error:
        log.warning("no crops to compare on (%s), so using random pictures", error)
        size = (_CHECKED, 3, *config.data.input_size_hw)
        return np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)


def _lifter(path: Path, config: Config, checkpoint: Checkpoint, precision: Precision) -> ToExport:
    if precision != "float32":
        raise InputError(
            f"--precision {precision}: not supported for lifting models such as {path}; remove this option"
        )
    exported = ExportedLifter(open_lifter(path, config, checkpoint, torch.device("cpu")))
    description = LiftingDescription(
        joints=tuple(H36M.names[joint] for joint in METRIC_JOINTS),
        root=H36M.names[H36M_ROOT],
        flip_pairs=tuple(H36M.flip_pairs),
        outputs=exported.output_names,
        loss=config.loss.name,
        flip_test=config.eval.flip_test,
    )
    return ToExport(exported, exported, description, "the lifting network", _check_poses(config), "2-D poses")


def _check_poses(config: Config) -> NDArray[np.float32]:
    root = Path(config.data.root)
    try:
        table = read_h36m(root / config.data.val_annotations, root / config.data.val_images)
    except InputError as error:
        log.warning("no poses to compare on (%s), so using random ones", error)
        return np.random.default_rng(0).normal(0, 0.1, (_CHECKED, len(METRIC_JOINTS), 2)).astype(np.float32)
    some = table.select(np.unique(np.linspace(0, len(table) - 1, _CHECKED).astype(int)))
    return on_plane(some.keypoints[:, METRIC_JOINTS], some.focal, some.principal).astype(np.float32)
