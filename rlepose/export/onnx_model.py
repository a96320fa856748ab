"""Run an exported ONNX file in place of the model."""

from pathlib import Path

import torch
from torch import Tensor, nn

from rlepose.errors import InputError
from rlepose.export.description import Description
from rlepose.export.formats import open_onnx
from rlepose.pose.codec import PoseOutput
from rlepose.pose.skeleton import Skeleton


class OnnxModel(nn.Module):
    """A network with the interface of PoseModel that runs in onnxruntime on the CPU.

    forward: image (B, 3, H, W) RGB uint8, on any device -> PoseOutput on that device.
    Raises InputError if the file is missing, was not exported by this project, or does not match `skeleton` and
    `input_size_hw`.
    """

    def __init__(self, path: Path, skeleton: Skeleton, input_size_hw: tuple[int, int]) -> None:
        super().__init__()
        description, self._run = open_onnx(path)
        if not isinstance(description, Description):
            raise InputError(f"{path}: lifts 2-D poses and reads no crops; export the checkpoint to validate")
        joints, size = description.skeleton.names, description.input_size_hw
        if joints != skeleton.names:
            raise InputError(
                f"{path}: has {len(joints)} joints ({', '.join(joints)}), but the checkpoint has {len(skeleton)} "
                f"({', '.join(skeleton.names)}); export this checkpoint"
            )
        if size != input_size_hw:
            raise InputError(
                f"{path}: expects crops of {size[0]}x{size[1]}, but data.input_size_hw is {list(input_size_hw)}; "
                f"set data.input_size_hw={list(size)}, or export again"
            )

    def forward(self, image: Tensor) -> PoseOutput:
        found = self._run(image.cpu().numpy())
        outputs = {name: torch.from_numpy(value).to(image.device) for name, value in found.items()}
        return PoseOutput(outputs["mu"], outputs.get("sigma"), outputs.get("score"))
