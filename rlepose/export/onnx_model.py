"""An exported ONNX file in the place of the model that it was made of."""

from pathlib import Path

import torch
from torch import Tensor, nn

from rlepose.errors import InputError
from rlepose.export.description import Description
from rlepose.export.formats import open_onnx
from rlepose.pose.codec import PoseOutput
from rlepose.pose.skeleton import Skeleton


class OnnxModel(nn.Module):
    """Takes and gives what a PoseModel does, computed by onnxruntime on the CPU.

    forward: image (B, 3, H, W) RGB uint8, on any device -> PoseOutput on that device.
    Raises InputError where the file is missing, not exported by this project, or of other joints or crops than those
    of `skeleton` and `input_size_hw`.
    """

    def __init__(self, path: Path, skeleton: Skeleton, input_size_hw: tuple[int, int]) -> None:
        super().__init__()
        description, self._run = open_onnx(path)
        if not isinstance(description, Description):
            raise InputError(f"{path}: lifts 2-D poses and reads no crops; export the checkpoint that is validated")
        joints, size = description.skeleton.names, description.input_size_hw
        if joints != skeleton.names:
            raise InputError(
                f"{path}: has {len(joints)} joints ({', '.join(joints)}), but the checkpoint has {len(skeleton)} "
                f"({', '.join(skeleton.names)}); export that checkpoint"
            )
        if size != input_size_hw:
            raise InputError(
                f"{path}: takes crops of {size[0]}x{size[1]}, but data.input_size_hw is {list(input_size_hw)}; "
                f"set data.input_size_hw={list(size)}, or export anew"
            )

    def forward(self, image: Tensor) -> PoseOutput:
        found = self._run(image.cpu().numpy())
        outputs = {name: torch.from_numpy(value).to(image.device) for name, value in found.items()}
        return PoseOutput(outputs["mu"], outputs.get("sigma"), outputs.get("score"))
