"""Checkpoint files: plain tensors and JSON types, written atomically."""

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


def write_tree(
    path: Path, tree: dict[str, Any], previous: Path | None = None, option: str = "output_dir=FOLDER"
) -> None:
    """Write a checkpoint's tree atomically: after any failure, the existing file is still complete.

    previous: new path of the existing file; None to replace it. option: of the running command, that chooses another
    place. Raises InputError for errors of the file system.
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
        kept = f"; the previous {path} is still there" if path.exists() else ""
        raise InputError(
            f"{path}: cannot write the checkpoint ({refusal}){kept}; free some space, or choose another place with "
            f"{option}"
        ) from error


def card_path(checkpoint: Path) -> Path:
    """Return the path of a checkpoint's model card."""
    return checkpoint.with_suffix(".md")


def check_checkpoint(path: Path) -> None:
    """Raise InputError unless the file is complete: all of its content has the stored checksum and length.

    torch.load does not check its input. But the file is a zip archive with a CRC-32 for each member, which is checked
    here in one pass without unpacking. torch stores members uncompressed, so a compressed member was not written by
    torch and could expand to any size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise InputError(
                    f"{path}: contains compressed data, which training does not write; use another checkpoint"
                )
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise InputError(f"{path}: claims more content than its size; use another checkpoint")
            damaged = archive.testzip()
    except InputError:
        raise
    except Exception as error:  # a broken archive can raise nearly anything
        from rlepose.contents import foreign_content, head_of  # only where a file has to be explained

        found = foreign_content(head_of(path))
        if found is not None:
            raise InputError(f"{path}: not a checkpoint: it is {found}") from error
        raise InputError(f"{path}: not a readable checkpoint ({first_line(error)}); use another one") from error
    if damaged is not None:
        raise InputError(f"{path}: not a readable checkpoint ({damaged} is damaged); use another one")


def newest_whole(paths: Iterable[Path]) -> Path:
    """Return the first complete file and log the files passed over. InputError if no file is complete."""
    problems: list[str] = []
    for path in filter(Path.exists, paths):
        try:
            check_checkpoint(path)
        except InputError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            log.warning("skipped: %s", problem)
        return path
    raise InputError(f"--resume: no complete checkpoint is left: {'; '.join(problems)}")


def read_tree(path: str | Path, whole: bool = False) -> dict[str, Any]:
    """Read a checkpoint's tree to the CPU. Only tensors and plain types are loaded, so a hostile file cannot run code.

    whole: `newest_whole` has already checked the file. Raises InputError for a file that is no checkpoint.
    """
    path = Path(path)
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for overlong names
        raise InputError(f"{path}: no such checkpoint; training writes checkpoints to exp/<name>/checkpoints/")
    if not whole:
        check_checkpoint(path)
    try:
        tree = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a broken file can raise almost anything
        raise InputError(f"{path}: not a readable checkpoint ({first_line(error)}); use another one") from error
    if not isinstance(tree, dict):
        raise InputError(
            f"{path}: not a checkpoint of rlepose, since it lacks keys that training writes; use another file"
        )
    return tree


def load_state(module: torch.nn.Module, state: dict[str, Any], what: str, path: str | Path) -> None:
    """Load a module's state from a checkpoint; an InputError names what does not fit."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        lines = [textwrap.shorten(line, _LONGEST_REASON, placeholder=" …") for line in str(error).splitlines()[1:3]]
        raise InputError(
            f"{path}: its {what} does not fit this config ({' '.join(lines)}); "
            "use the config stored in the checkpoint, or train anew"
        ) from error


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of torch's CPU and CUDA generators."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Restore the states that `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def _sync_folder(folder: Path) -> None:
    """Sync the folder, so that the new names are on disk before anything relies on them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # not supported by some network file systems
        pass
    finally:
        os.close(descriptor)


def _refusal(error: BaseException | None) -> str | None:
    """Return the file system's error, which torch wraps in an error of its own. None for other errors."""
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        error = error.__cause__ or error.__context__
    return None
