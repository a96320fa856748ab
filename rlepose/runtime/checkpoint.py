"""Checkpoints: plain tensors and JSON types in one file, which is whole or not there."""

import contextlib
import logging
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.config.tree import without_other_variants
from rlepose.errors import InputError, first_line
from rlepose.evaluation.recalibration import Recalibration
from rlepose.losses import Criterion, build_criterion
from rlepose.models.pose_model import PoseModel, network_of
from rlepose.pose.skeleton import Skeleton
from rlepose.runtime.distributed import Ranks

log = logging.getLogger(__name__)

_FORMAT = 3
_KEYS = {"format", "config", "skeleton", "model", "criterion", "progress", "metrics", "optimizer", "random_states"}


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on, and a validation to start.

    model, criterion: state dicts, of the weights' average where one is kept; unaveraged is then the two as the
    optimiser left them. optimizer: state dict. random_states: torch's CPU and CUDA generator state of each
    rank. progress: how far the run is, as `RunState` counts it. recalibration: how inference corrects sigma, if it was
    fitted.
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


def save_checkpoint(path: Path, checkpoint: Checkpoint, previous: Path | None = None) -> None:
    """Write a checkpoint; whatever goes wrong, the file that was there is there still, whole.

    previous: where that file goes then, None to replace it. Raises InputError where the file system refuses.
    """
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
        "unaveraged": checkpoint.unaveraged,
        "recalibration": None if checkpoint.recalibration is None else checkpoint.recalibration.to_dict(),
    }
    aside = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            torch.save(tree, file)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            path.replace(previous)
        aside.replace(path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        kept = f"; {path} of before is still there" if path.exists() else ""
        raise InputError(
            f"{path}: cannot write the checkpoint ({refusal}){kept}; make room, or set output_dir=FOLDER"
        ) from error


def check_checkpoint(path: Path) -> None:
    """InputError unless the file is whole: every byte of content as it was written, and as many as it says.

    torch.load believes what it reads. The file is a zip archive, though, with the CRC-32 of each member, and is read
    once for it, without being unpacked: torch stores its members as they are, so one that is compressed comes from
    elsewhere, and may become any number of bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise InputError(f"{path}: holds compressed data, which no training writes; use another checkpoint")
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise InputError(f"{path}: claims to hold more than its size; use another checkpoint")
            damaged = archive.testzip()
    except InputError:
        raise
    except Exception as error:  # a broken archive can raise nearly anything
        raise InputError(f"{path}: not a readable checkpoint ({first_line(error)}); use another one") from error
    if damaged is not None:
        raise InputError(f"{path}: not a readable checkpoint ({damaged} is damaged); use another one")


def newest_whole(paths: Iterable[Path]) -> Path:
    """The first of the files that is whole; says which it passed over. InputError where none is."""
    problems: list[str] = []
    for path in filter(Path.exists, paths):
        try:
            check_checkpoint(path)
        except InputError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            log.warning("passed over: %s", problem)
        return path
    raise InputError(f"--resume: no whole checkpoint is left: {'; '.join(problems)}")


def _sync_folder(folder: Path) -> None:
    """Have the new names on the disk, too, before anything relies on them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot
        pass
    finally:
        os.close(descriptor)


def _refusal(error: BaseException | None) -> str | None:
    """What the file system said: torch wraps it into its own error. None if it was something else."""
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        error = error.__cause__ or error.__context__
    return None


def load_checkpoint(path: str | Path, whole: bool = False) -> Checkpoint:
    """Read a checkpoint onto the CPU. Only tensors and plain types are loaded, so a hostile file runs no code.

    whole: `newest_whole` has checked the file already. Raises InputError for what is no checkpoint of this project.
    """
    path = Path(path)
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a name that is too long
        raise InputError(f"{path}: no such checkpoint; training writes them to exp/<name>/checkpoints/")
    if not whole:
        check_checkpoint(path)
    try:
        tree = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a broken file can raise nearly anything
        raise InputError(f"{path}: not a readable checkpoint ({first_line(error)}); use another one") from error
    if not isinstance(tree, dict) or not tree.keys() >= _KEYS:
        raise InputError(f"{path}: not a checkpoint of rlepose; it lacks the keys that training writes")
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
    )


def _config_of(tree: dict[str, Any], version: Any, path: Path) -> Config:
    """The config in a checkpoint of this format."""
    if version not in range(1, _FORMAT + 1):
        raise InputError(f"{path}: checkpoint format {version}, but this version reads formats up to {_FORMAT}")
    if version == 1:  # before heads had options of their own
        tree["model"]["head"] = {"normalize_features": tree["model"].pop("normalize_features")}
    if version <= 2:  # each section had the options of all variants
        tree = without_other_variants(tree)
    return config_from_dict(tree, source=str(path))


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
    model = network_of(config, len(checkpoint.skeleton), pretrained=False)
    load_state(model, checkpoint.model, "model", path)
    return model.eval()


def criterion_from_checkpoint(checkpoint: Checkpoint, config: Config, path: str | Path) -> Criterion:
    """The trained criterion, likewise."""
    criterion = build_criterion(config.loss, len(checkpoint.skeleton), config.dims)
    load_state(criterion, checkpoint.criterion, "criterion", path)
    return criterion.eval()


def open_checkpoint(path: Path, config: Config, checkpoint: Checkpoint, ranks: Ranks) -> tuple[PoseModel, Criterion]:
    """Model and criterion on this rank's device, in evaluation mode."""
    model = model_from_checkpoint(checkpoint, config, path).to(ranks.device)
    if config.system.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return model, criterion_from_checkpoint(checkpoint, config, path).to(ranks.device)


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
