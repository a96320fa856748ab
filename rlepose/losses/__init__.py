"""What is minimised. The names are build.py's, which loads torch when the first is asked for: options.py needs
none."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlepose.losses.build import *  # noqa: F403


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("rlepose.losses.build"), name)
