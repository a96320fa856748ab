"""Choices of export formats and precisions, without the libraries that write them."""

from typing import Literal, get_args

FormatName = Literal["onnx", "torchscript", "torch_export"]
FORMAT_NAMES: tuple[FormatName, ...] = get_args(FormatName)

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
