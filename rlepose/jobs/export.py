"""Export a checkpoint: write the file, compare it with the model, and only then rename it to its final name."""

import logging
from pathlib import Path

import torch

from rlepose.config.config import Config
from rlepose.errors import InputError, first_line
from rlepose.export.choices import FormatName, Precision
from rlepose.export.formats import FORMATS, require
from rlepose.export.parity import TOLERANCE, Difference, difference
from rlepose.export.quantize import quantize
from rlepose.jobs.to_export import to_export
from rlepose.runtime.checkpoint import Checkpoint
from rlepose.runtime.experiment import exports_folder

log = logging.getLogger(__name__)


def export_checkpoint(
    path: Path,
    config: Config,
    checkpoint: Checkpoint,
    file_format: FormatName,
    precision: Precision,
    out: Path | None = None,
) -> Difference:
    """Write a checkpoint's network to `out`, compare both on crops or 2-D poses of the validation data (on random ones
    if there are none), and return the differences.

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
    given = to_export(path, config, checkpoint, file_format, precision)
    out.parent.mkdir(parents=True, exist_ok=True)
    unchecked = out.with_stem(f"{out.stem}.unchecked")
    try:
        kind.write(given.exported, torch.from_numpy(given.inputs[:2]), unchecked, given.description)
    except Exception as error:  # the exporters raise many types of errors
        raise InputError(
            f"{path}: torch cannot write {given.name} as {file_format} ({first_line(error)}); try another --format"
        ) from error
    if given.calibration is not None:
        quantize(unchecked, given.calibration)
    try:
        found = difference(given.original, kind.open(unchecked).run, given.inputs)
        wrong = f"{found}; allowed is {TOLERANCE:g}" if precision == "float32" and not found.tolerable else ""
    except Exception as error:  # runtimes, too, for example if the file has a constant batch size
        wrong = first_line(error)
    if wrong:
        rejected = unchecked.replace(out.with_name(f"{out.name}.rejected"))
        raise InputError(f"{rejected}: its outputs differ from the outputs of {path} ({wrong}); try another --format")
    unchecked.replace(out)
    log.info("compared with the model on %d %s: %s", len(given.inputs), given.called, found)
    if precision != "float32":
        log.warning(
            "accuracy        %s rounds the network's numbers; how much accuracy that costs depends on the network and "
            "has not been measured: %s",
            precision,
            f"run rlepose validate --checkpoint {path} --onnx {out}, and the same without --onnx to compare"
            if file_format == "onnx"
            else f"export with --format onnx --precision {precision}, and run rlepose validate with --onnx",
        )
    log.info("exported        %s (%.1f MB)", out, out.stat().st_size / 1e6)
    return found


def _default_out(path: Path, precision: Precision, suffix: str) -> Path:
    name = path.stem if precision == "float32" else f"{path.stem}_{precision}"
    return exports_folder(path) / f"{name}{suffix}"
