"""Find the persons in a picture with one of torchvision's detectors."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlepose.errors import InputError, first_line
from rlepose.inference.boxes import Boxes
from rlepose.paths import expanded

_PERSON = 1  # in COCO's numbering, which all of torchvision's detectors use
_FAMILIES = ("fasterrcnn", "fcos", "retinanet", "ssd")


class Detector:
    """A person detector: detector(pixels (H, W, 3) RGB uint8) -> Boxes.

    Args:
        name: a detection model of torchvision.
        weights: a file with a state dict, or the name of weights that torchvision downloads.
        threshold: minimum score of a box.
        device: device of the model.

    Raises InputError for an unknown model, and for weights that cannot be loaded or downloaded.
    """

    def __init__(
        self,
        name: str = "fasterrcnn_mobilenet_v3_large_fpn",
        weights: str = "DEFAULT",
        threshold: float = 0.5,
        device: torch.device | str = "cpu",
    ) -> None:
        self.threshold = threshold
        self.device = torch.device(device)
        self._model = _load(name, weights).eval().to(self.device)

    @torch.inference_mode()
    def __call__(self, pixels: NDArray[np.uint8]) -> Boxes:
        image = torch.from_numpy(pixels).permute(2, 0, 1).to(self.device).float() / 255
        found = self._model([image])[0]
        chosen = (found["labels"] == _PERSON) & (found["scores"] >= self.threshold)
        xyxy = found["boxes"][chosen].cpu().numpy().astype(float)
        return Boxes(
            np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1),
            found["scores"][chosen].cpu().numpy().astype(float),
        )


def _load(name: str, weights: str) -> Any:
    from torchvision.models import detection, get_model, get_model_weights, list_models

    names = [model for model in list_models(module=detection) if model.startswith(_FAMILIES)]
    if name not in names:
        raise InputError(f"detector: unknown detector '{name}'; choose one of {', '.join(names)}")
    weights = expanded(weights)
    if Path(weights).suffix in (".pth", ".pt"):
        if not Path(weights).is_file():
            raise InputError(f"detector: no such file of weights: {weights}; correct the path (--detector-weights)")
        model = get_model(name, weights=None, weights_backbone=None)
        try:
            model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except Exception as error:  # loading a broken file can raise nearly anything
            raise InputError(
                f"detector: {weights} contains no weights of {name} ({first_line(error)}); give those of this "
                "detector, or name theirs (--detector)"
            ) from error
        return model
    known = get_model_weights(name)
    if weights not in known.__members__:
        raise InputError(
            f"detector: {name} has no weights '{weights}'; give a file, or one of {', '.join(known.__members__)}"
        )
    try:
        return get_model(name, weights=known[weights])
    except OSError as error:  # urllib's errors are OSErrors
        raise InputError(
            f"detector: cannot download the weights of {name} ({first_line(error)}); get {known[weights].url} "
            "elsewhere and pass the file (--detector-weights), or give boxes (--boxes FILE), or use one box around "
            "each picture (--boxes whole)"
        ) from error
