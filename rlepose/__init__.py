"""Human pose estimation by direct regression with residual log-likelihood estimation (RLE)."""

import importlib
from typing import TYPE_CHECKING, Any

from rlepose.errors import InputError

if TYPE_CHECKING:
    from rlepose.inference import Detector, Lifter, PersonPose, PicturePoses, Predictor

__version__ = "0.1.0"

__all__ = ["Detector", "InputError", "Lifter", "PersonPose", "PicturePoses", "Predictor"]


def __getattr__(name: str) -> Any:
    """Import the prediction classes on first use, because they need torch."""
    if name in __all__:
        return getattr(importlib.import_module("rlepose.inference"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
