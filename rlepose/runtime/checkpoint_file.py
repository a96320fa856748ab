"""Files of checkpoints: plain tensors and JSON types, whole or not there."""

import contextlib
import logging
import os
import textwrap
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from rlepose.errors import InputError, first_line

log = logging.getLogger(__name__)

_LONGEST_REASON = 200  # characters of a line in which torch lists weights


def write_tree(path: Path, tree: dict[str, Any], previous: Path | None = None) -> None:
    """Write a checkpoint's tree; whatever goes wrong, the file that was there is there still, whole.

    previous: where that file goes then, None to replace it. Raises InputError where the file system refuses.
    """
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


def read_tree(path: str | Path, whole: bool = False) -> dict[str, Any]:
    """Read a checkpoint's tree onto the CPU. Only tensors and plain types are loaded, so a hostile file runs no code.

    whole: `newest_whole` has checked the file already. Raises InputError for what is no file of a checkpoint.
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
    if not isinstance(tree, dict):
        raise InputError(f"{path}: not a checkpoint of rlepose; it lacks the keys that training writes")
    return tree


def load_state(module: torch.nn.Module, state: dict[str, Any], what: str, path: str | Path) -> None:
    """Fill a module from a checkpoint; InputError names what does not fit."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        lines = [textwrap.shorten(line, _LONGEST_REASON, placeholder=" …") for line in str(error).splitlines()[1:3]]
        raise InputError(
            f"{path}: its {what} does not fit this config ({' '.join(lines)}); "
            "validate with the config inside the checkpoint, or train anew"
        ) from error


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
