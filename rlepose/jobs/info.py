"""Describe a checkpoint: its network, inputs and outputs, and options."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rlepose.config.config import Config
from rlepose.config.names import changed_options
from rlepose.config.reading import with_overrides
from rlepose.runtime.checkpoint import Checkpoint
from rlepose.tasks.card_texts import card_texts


def trained_config(checkpoint: Checkpoint, overrides: Sequence[str] = ()) -> Config:
    """Return a checkpoint's config with `data.num_keypoints` set. overrides: as for `--set`."""
    config = with_overrides(checkpoint.config, overrides)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, num_keypoints=len(checkpoint.skeleton)))


def describe_checkpoint(path: Path, checkpoint: Checkpoint) -> str:
    """Describe the network and its epoch, inputs and outputs, sigma, and the changed options, as text.

    path: the checkpoint, for the first line.
    """
    config = checkpoint.config
    texts, epoch = card_texts(config, checkpoint.skeleton), checkpoint.progress.get("epoch")
    trained = f"after epoch {epoch} of {config.train.epochs}" if epoch is not None else "converted, not trained here"
    lines = [
        str(path),
        f"  network  {texts.network}, loss {config.loss.name}; {trained}",
        f"  in       {texts.inputs}",
        f"  out      {texts.outputs}",
        f"  sigma    {texts.about_sigma}",
        "  options that differ from their defaults:",
        *(f"    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in changed_options(config).items()),
    ]
    return "\n".join(lines)
