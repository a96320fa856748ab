"""Export a checkpoint: write the file, compare it with the model, and only then rename it to its final name."""

import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.config.support import exports_of
from rlepose.datasets.of_config import crops_of
from rlepose.errors import InputError, first_line
from rlepose.export.choices import FormatName, Precision
from rlepose.export.description import Description
from rlepose.export.formats import FORMATS, require
from rlepose.export.network import ExportedNetwork, with_half_backbone
from rlepose.export.parity import TOLERANCE, Difference, difference
from rlepose.export.quantize import quantize
from rlepose.pose.geometry import Floats
from rlepose.runtime.checkpoint import Checkpoint, results_folder
from rlepose.runtime.trained_model import network_from_checkpoint, open_checkpoint

log = logging.getLogger(__name__)

_CHECK_CROPS = 16
_CALIBRATION_CROPS = 128


def export_checkpoint(
    path: Path,
    config: Config,
    checkpoint: Checkpoint,
    file_format: FormatName,
    precision: Precision,
    out: Path | None = None,
) -> Difference:
    """Write a checkpoint's network to `out`, compare both on validation crops (or on random pictures if there are
    none), and return the differences.

    out: default export/<checkpoint's name>[_<precision>].<suffix> beside the checkpoint's folder.
    Raises InputError for a network that cannot be exported, for int8 without training data, and if a float32 file does
    not run or differs by more than parity.TOLERANCE from the model: its name then ends in `.rejected`.
    """
    kind = FORMATS[file_format]
    require(*kind.libraries)
    if precision == "int8" and file_format != "onnx":
        raise InputError(f"--precision: int8 needs --format onnx, not {file_format}; change one of them")
    out = out or _default_out(path, precision, kind.suffix)
    if out.suffix != kind.suffix:
        raise InputError(f"--out: expected a name ending in {kind.suffix} for --format {file_format}, got {out}")
    network = network_from_checkpoint(checkpoint, config, path)
    model = open_checkpoint(path, config, checkpoint, torch.device("cpu"), network)
    if file_format not in exports_of(config.task, config.top_down.head.name, config.loss.name, config.dims):
        raise InputError(
            f"{path}: loss.name=basic needs its flow at inference, which is not exported; train with another loss"
        )
    calibration = crops_of(config, "train", _CALIBRATION_CROPS) if precision == "int8" else None
    crops = _check_crops(config)

    original = ExportedNetwork(network)
    exported = ExportedNetwork(with_half_backbone(network)) if precision == "float16" else original
    description = describe(config, checkpoint, model.spread, exported, precision)
    out.parent.mkdir(parents=True, exist_ok=True)
    unchecked = out.with_stem(f"{out.stem}.unchecked")
    try:
        kind.write(exported, torch.from_numpy(crops[:2]), unchecked, description)
    except Exception as error:  # the exporters raise many types of errors
        raise InputError(
            f"{path}: torch cannot write {config.top_down.backbone.name} as {file_format} ({first_line(error)}); "
            "try another --format"
        ) from error
    if calibration is not None:
        quantize(unchecked, calibration)
    try:
        found = difference(original, kind.open(unchecked).run, crops)
        wrong = f"{found}; allowed is {TOLERANCE:g}" if precision == "float32" and not found.tolerable else ""
    except Exception as error:  # runtimes, too, for example if the file has a constant batch size
        wrong = first_line(error)
    if wrong:
        rejected = unchecked.replace(out.with_name(f"{out.name}.rejected"))
        raise InputError(f"{rejected}: its outputs differ from those of {path} ({wrong}); try another --format")
    unchecked.replace(out)
    log.info("compared with the model on %d crops: %s", len(crops), found)
    if precision != "float32":
        log.info("accuracy        to measure the effect, run `rlepose validate`, with --onnx for an ONNX file")
    log.info("exported        %s (%.1f MB)", out, out.stat().st_size / 1e6)
    return found


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
        return crops_of(config, "val", _CHECK_CROPS)
    except InputError as error:
        log.warning("no crops to compare on (%s), so using random pictures", error)
        size = (_CHECK_CROPS, 3, *config.data.input_size_hw)
        return np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)


def _default_out(path: Path, precision: Precision, suffix: str) -> Path:
    name = path.stem if precision == "float32" else f"{path.stem}_{precision}"
    return results_folder(path).with_name("export") / f"{name}{suffix}"
