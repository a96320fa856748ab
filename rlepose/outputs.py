"""The places that a command writes to, checked before it does any work."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from rlepose.errors import InputError


class Output(NamedTuple):
    """A folder or file to write. option: of the command, with its value, that chooses another, such as '--out FILE'."""

    path: Path
    option: str
    is_folder: bool = True


def check_output(output: Output) -> None:
    """Raise InputError unless the output can be written, or made together with the folders above it.

    The file system is asked by making an unnamed file, since permissions say nothing about a read-only disk. Nothing is
    left behind, and no folder is made.
    """
    path, option, is_folder = output
    try:
        if not is_folder and path.is_dir():
            raise InputError(f"{path}: is a folder, but a file is written; name another one with {option}")
        if not is_folder and path.exists() and not path.is_file():
            raise InputError(f"{path}: is a device, not a file that can be replaced; name another one with {option}")
        place = _nearest(path if is_folder else path.parent)
        if place.is_file():
            raise InputError(f"{path}: cannot write there ({place} is a file); choose another place with {option}")
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise InputError(
            f"{path}: cannot write there ({error.strerror}); choose another place with {option}"
        ) from error


def _nearest(folder: Path) -> Path:
    """Return the folder, or what exists of the path to it."""
    for place in (folder, *folder.parents):
        try:
            place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return place
    return Path()
