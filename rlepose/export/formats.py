"""File formats for export: how to write and run each. All accept crops, or 2-D poses, in batches of any size."""

import importlib.util
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlepose.errors import InputError, first_line
from rlepose.export.choices import FormatName
from rlepose.export.description import KEY, Description, LiftingDescription, read_description
from rlepose.export.network import ExportedModule
from rlepose.pose.geometry import Floats

# image (B, 3, H, W) RGB uint8, or keypoints (B, 17, 2) float32 -> outputs by name, float32
Run = Callable[[NDArray[Any]], dict[str, Floats]]
AnyDescription = Description | LiftingDescription

_OPSET = 18  # native opset of torch's exporter; supported by onnxruntime since 1.14
_jit: Any = torch.jit  # its functions are untyped
_EXTRA_FILE = f"{KEY}.json"


class Exported(NamedTuple):
    """An exported file, ready to run."""

    description: AnyDescription
    run: Run


class FileFormat(NamedTuple):
    """suffix: of the file. libraries: needed to write and check it. write(network, example, path, description): example
    is an input batch of two. open(path) -> Exported."""

    suffix: str
    libraries: tuple[str, ...]
    write: Callable[[ExportedModule, Tensor, Path, AnyDescription], None]
    open: Callable[[Path], Exported]


def require(*libraries: str) -> None:
    """Raise InputError if a library of the extra `onnx` is not installed."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"ONNX files need {' and '.join(missing)}; run pip install {' '.join(missing)}")


def write_onnx(network: ExportedModule, example: Tensor, path: Path, description: AnyDescription) -> None:
    """Write a file with torch's exporter via torch.export; it folds batch normalisation into the convolutions."""
    for name in ("onnx_ir", "onnxscript"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they log every folded node
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's warnings about its own code
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            dynamic_shapes={description.input_name: {0: torch.export.Dim("batch")}},
            input_names=[description.input_name],
            output_names=list(description.outputs),
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props[KEY] = description.to_json()
    program.save(path, external_data=False)


def open_onnx(path: Path) -> Exported:
    """Open a file with onnxruntime on the CPU, with as many threads as torch. InputError for an unreadable file."""
    require("onnxruntime")
    import onnxruntime

    if not path.is_file():
        raise InputError(f"{path}: no such file; write one with `rlepose export --format onnx`")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base class
        raise InputError(f"{path}: onnxruntime cannot read the file ({first_line(error)}); export it again") from error
    description = read_description(session.get_modelmeta().custom_metadata_map.get(KEY), path)
    names = list(description.outputs)

    def run(given: NDArray[Any]) -> dict[str, Floats]:
        values = session.run(names, {description.input_name: np.ascontiguousarray(given)})
        return dict(zip(names, values, strict=True))

    return Exported(description, run)


def _write_torchscript(network: ExportedModule, example: Tensor, path: Path, description: AnyDescription) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; docs/deployment.md says so
        traced = _jit.trace(network, (example,), strict=False, check_trace=False)
        _jit.save(traced, str(path), _extra_files={_EXTRA_FILE: description.to_json()})


def _open_torchscript(path: Path) -> Exported:
    extra = {_EXTRA_FILE: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = _jit.load(str(path), map_location="cpu", _extra_files=extra)
    return Exported(_described(extra, path), _torch_run(network))


def _write_torch_export(network: ExportedModule, example: Tensor, path: Path, description: AnyDescription) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        network, (example,), dynamic_shapes={description.input_name: {0: batch}}, strict=False
    )
    torch.export.save(program, path, extra_files={_EXTRA_FILE: description.to_json()})


def _open_torch_export(path: Path) -> Exported:
    extra = {_EXTRA_FILE: ""}
    network = torch.export.load(path, extra_files=extra).module()
    return Exported(_described(extra, path), _torch_run(network))


def _described(extra: dict[str, Any], path: Path) -> AnyDescription:
    text = extra[_EXTRA_FILE]
    return read_description(text.decode() if isinstance(text, bytes) else text, path)


def _torch_run(network: Callable[[Tensor], dict[str, Tensor]]) -> Run:
    @torch.no_grad()
    def run(given: NDArray[Any]) -> dict[str, Floats]:
        return {name: value.numpy() for name, value in network(torch.from_numpy(np.ascontiguousarray(given))).items()}

    return run


FORMATS: dict[FormatName, FileFormat] = {
    "onnx": FileFormat(".onnx", ("onnx", "onnxscript", "onnxruntime"), write_onnx, open_onnx),
    "torchscript": FileFormat(".torchscript", (), _write_torchscript, _open_torchscript),
    "torch_export": FileFormat(".pt2", (), _write_torch_export, _open_torch_export),
}
