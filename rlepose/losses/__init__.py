"""Training losses. Names come from build.py, imported on first use: build.py needs torch, options.py must not."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlepose.losses.build import *  # noqa: F403


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("rlepose.losses.build"), name)
