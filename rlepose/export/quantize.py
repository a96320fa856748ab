"""Quantise an ONNX file to eight-bit weights and activations with onnxruntime's static quantisation."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BATCH = 16
_SCOPES = "pkg.torch.onnx.name_scopes"  # metadata of torch's exporter: the modules of a node
_BACKBONE = "'model.backbone'"


def quantize(path: Path, crops: NDArray[np.uint8]) -> None:
    """Replace a float32 ONNX file by its int8 version.

    crops (N, 3, H, W) RGB uint8: examples for the range of activations, minimum to maximum of each tensor; weights have
    one range per channel. Only the backbone is quantised: the normalisation has eight-bit inputs anyway, and the head
    costs little time but would round mu.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quant_pre_process, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder) / "prepared.onnx")
        # Only shape inference: torch's exporter has already folded batch normalisation, and the optimiser drops scopes.
        quant_pre_process(str(path), prepared, skip_optimization=True, skip_symbolic_shape=True)
        nodes = onnx.load(prepared).graph.node
        quantize_static(
            prepared,
            str(path),
            _Batches(crops),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,  # with signed weights, for x86's VNNI instructions
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in nodes if not _in_backbone(node)],
            calibrate_method=CalibrationMethod.MinMax,
        )


def _in_backbone(node: Any) -> bool:
    return any(entry.key == _SCOPES and _BACKBONE in entry.value for entry in node.metadata_props)


class _Batches:
    """onnxruntime's CalibrationDataReader: returns inputs by name, None at the end."""

    def __init__(self, crops: NDArray[np.uint8]) -> None:
        self._batches = iter([crops[i : i + _BATCH] for i in range(0, len(crops), _BATCH)])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}
