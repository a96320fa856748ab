"""Arguments with which a trained model is opened, refused where they are of another type."""

from collections.abc import Sequence
from pathlib import Path

from rlepose.errors import InputError
from rlepose.paths import expanded


def checkpoint_to_open(checkpoint: object, overrides: object) -> Path:
    """Return the path `checkpoint`, expanded; InputError unless it is a path and `overrides` a list of texts."""
    if not isinstance(checkpoint, str | Path):
        raise InputError(f"checkpoint: expected the path of a file that training wrote, got {checkpoint!r}")
    if (
        isinstance(overrides, str)
        or not isinstance(overrides, Sequence)
        or not all(isinstance(text, str) for text in overrides)
    ):
        raise InputError(f"overrides: expected a list of 'section.key=value', got {overrides!r}")
    return Path(expanded(checkpoint))
