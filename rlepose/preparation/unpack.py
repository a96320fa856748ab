"""Unpacking archives that came from elsewhere."""

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from rlepose.errors import InputError, first_line


def unpack(archive: Path, folder: Path) -> None:
    """The files of a zip archive, below `folder`. What is there in full size already stays.

    Raises InputError before anything is written if the archive is broken or a member leads elsewhere.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            _write(file, [info for info in file.infolist() if not info.is_dir()], archive, folder)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{archive}: not a whole zip file ({first_line(error)}); delete it and fetch it again"
        ) from error


def _write(file: zipfile.ZipFile, members: list[zipfile.ZipInfo], archive: Path, folder: Path) -> None:
    for member in members:
        name = member.filename
        # Windows' separators and drives count as well, whatever this runs on.
        if PurePosixPath(name).is_absolute() or ".." in PureWindowsPath(name).parts or PureWindowsPath(name).anchor:
            raise InputError(f"{archive}: its member {name!r} leads out of the folder; fetch it elsewhere")
    for member in members:
        target = folder / member.filename
        if target.is_file() and target.stat().st_size == member.file_size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open(member) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
