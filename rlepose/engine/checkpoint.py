"""Checkpoints: plain tensors and JSON types in one file, written aside and renamed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rlepose.config import Config
from rlepose.config_reading import config_from_dict
from rlepose.errors import InputError, first_line
from rlepose.evaluation.recalibration import Recalibration
from rlepose.losses import LOSSES
from rlepose.models.pose_model import PoseModel, build_model
from rlepose.skeleton import Skeleton

_FORMAT = 2
_KEYS = {"format", "config", "skeleton", "model", "criterion", "progress", "metrics", "optimizer", "random_states"}


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on, and a validation to start.

    model, criterion: state dicts. optimizer: state dict. random_states: torch's CPU and CUDA generator state of each
    rank. progress: finished epochs, and the best value of the selection metric so far. recalibration: how inference
    corrects sigma, if it was fitted.
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


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a crash in the middle leaves the old file as it was."""
    tree = {
        "format": _FORMAT,
        "config": checkpoint.config.to_dict(),
        "skeleton": checkpoint.skeleton.to_dict(),
        "model": checkpoint.model,
        "criterion": checkpoint.criterion,
        "progress": checkpoint.progress,
        "metrics": checkpoint.metrics,
        "optimizer": checkpoint.optimizer,
        "random_states": checkpoint.random_states,
        "recalibration": None if checkpoint.recalibration is None else checkpoint.recalibration.to_dict(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    with aside.open("wb") as file:
        torch.save(tree, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint onto the CPU. Only tensors and plain types are loaded, so a hostile file runs no code."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; training writes them to exp/<name>/checkpoints/")
    try:
        tree = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a broken file can raise nearly anything
        raise InputError(f"{path}: not a readable checkpoint ({first_line(error)}); use another one") from error
    if not isinstance(tree, dict) or not tree.keys() >= _KEYS:
        raise InputError(f"{path}: not a checkpoint of rlepose; it lacks the keys that training writes")
    if tree["format"] == 1:  # before heads had options of their own
        model = tree["config"]["model"]
        model["head"] = {"normalize_features": model.pop("normalize_features")}
    elif tree["format"] != _FORMAT:
        raise InputError(f"{path}: checkpoint format {tree['format']}, but this version reads formats up to {_FORMAT}")
    return Checkpoint(
        config=config_from_dict(tree["config"], source=str(path)),
        skeleton=Skeleton.from_dict(tree["skeleton"]),
        model=tree["model"],
        criterion=tree["criterion"],
        progress=tree["progress"],
        metrics=tree["metrics"],
        optimizer=tree["optimizer"],
        random_states=tree["random_states"],
        recalibration=Recalibration.from_dict(tree["recalibration"]) if tree.get("recalibration") else None,
    )


def load_state(module: torch.nn.Module, state: dict[str, Any], what: str, path: str | Path) -> None:
    """Fill a module from a checkpoint; InputError names what does not fit."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:3]]
        raise InputError(
            f"{path}: its {what} does not fit this config ({' '.join(lines)}); "
            "validate with the config inside the checkpoint, or train anew"
        ) from error


def results_folder(path: Path) -> Path:
    """Where what is said of a checkpoint goes: results/ beside checkpoints/, or beside a file that lies elsewhere."""
    folder = path.absolute().parent
    return (folder.parent if folder.name == "checkpoints" else folder) / "results"


def model_from_checkpoint(checkpoint: Checkpoint, config: Config, path: str | Path) -> PoseModel:
    """The trained model, on the CPU, in evaluation mode.

    config is the checkpoint's own or one whose model is the same; `path` is for messages.
    """
    needs_sigma = LOSSES[config.loss.name].needs_sigma
    model = build_model(config.model, len(checkpoint.skeleton), needs_sigma, pretrained=False)
    load_state(model, checkpoint.model, "model", path)
    return model.eval()


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of torch's CPU and CUDA generators."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Take up the states that `random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
