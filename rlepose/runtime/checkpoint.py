"""Checkpoints: plain tensors and JSON types in one file, written atomically."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.config.tree import without_other_variants
from rlepose.errors import InputError
from rlepose.evaluation.recalibration import Recalibration
from rlepose.pose.geometry import Floats
from rlepose.pose.skeleton import Skeleton
from rlepose.runtime.checkpoint_file import read_tree, write_tree

_FORMAT = 3
_KEYS = {"format", "config", "skeleton", "model", "criterion", "progress", "metrics", "optimizer", "random_states"}


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to resume, and a validation to start.

    model, criterion: state dicts, of the weights' average if there is one; unaveraged then contains both without
    averaging. optimizer: state dict. random_states: states of torch's CPU and CUDA generators for each rank. progress:
    counters, see `RunState`. recalibration: correction of sigma at inference, if it was fitted. spread: (K, D) standard
    deviation of target − mu in units of sigma, for model and criterion as they are; None: to be computed from them.
    """

    config: Config
    skeleton: Skeleton
    model: dict[str, Any]
    criterion: dict[str, Any]
    progress: dict[str, Any]
    metrics: dict[str, Any]
    optimizer: dict[str, Any]
    random_states: list[dict[str, torch.Tensor]]
    recalibration: Recalibration | None = None
    unaveraged: dict[str, dict[str, Any]] | None = None
    spread: torch.Tensor | None = None


def header(config: Config, skeleton: Skeleton, recalibration: Recalibration | None = None) -> dict[str, Any]:
    """Return the part of a checkpoint's tree that describes the model, without its weights."""
    return {
        "format": _FORMAT,
        "config": config.to_dict(),
        "skeleton": skeleton.to_dict(),
        "recalibration": None if recalibration is None else recalibration.to_dict(),
    }


def tree_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the checkpoint as the tree in its file, which shares its tensors."""
    return {
        **header(checkpoint.config, checkpoint.skeleton, checkpoint.recalibration),
        "model": checkpoint.model,
        "criterion": checkpoint.criterion,
        "progress": checkpoint.progress,
        "metrics": checkpoint.metrics,
        "optimizer": checkpoint.optimizer,
        "random_states": checkpoint.random_states,
        "unaveraged": checkpoint.unaveraged,
        "spread": checkpoint.spread,
    }


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, for commands that write one to `--to`."""
    write_tree(path, tree_of(checkpoint), option="--to FILE")


def load_checkpoint(path: str | Path, whole: bool = False) -> Checkpoint:
    """Read a checkpoint to the CPU.

    whole: see `read_tree`. Raises InputError for a file that is no checkpoint of this project.
    """
    tree = read_tree(path, whole)
    if not tree.keys() >= _KEYS:
        raise InputError(
            f"{path}: not a checkpoint of rlepose, since it lacks keys that training writes; use another file"
        )
    return Checkpoint(
        config=_config_of(tree["config"], tree["format"], path),
        skeleton=Skeleton.from_dict(tree["skeleton"]),
        model=tree["model"],
        criterion=tree["criterion"],
        progress=tree["progress"],
        metrics=tree["metrics"],
        optimizer=tree["optimizer"],
        random_states=tree["random_states"],
        unaveraged=tree.get("unaveraged"),
        recalibration=Recalibration.from_dict(tree["recalibration"]) if tree.get("recalibration") else None,
        spread=tree.get("spread"),
    )


def stored_spread(checkpoint: Checkpoint, config: Config) -> Floats | None:
    """Return the checkpoint's spread; None if it has none, or if this config's loss has another density."""
    if checkpoint.spread is None or config.loss != checkpoint.config.loss:
        return None
    return checkpoint.spread.numpy()


def _config_of(tree: dict[str, Any], version: Any, path: str | Path) -> Config:
    """Return the config in a checkpoint of this format version."""
    if version not in range(1, _FORMAT + 1):
        raise InputError(
            f"{path}: checkpoint format {version}, but this version reads formats up to {_FORMAT}; update rlepose"
        )
    if version == 1:  # heads had no options of their own yet
        tree["model"]["head"] = {"normalize_features": tree["model"].pop("normalize_features")}
    if version <= 2:  # each section had the options of all its variants
        tree = without_other_variants(tree)
    return config_from_dict(tree, source=str(path))
