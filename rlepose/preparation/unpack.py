"""Unpack downloaded archives safely."""

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from rlepose.errors import InputError, first_line


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into `folder`. Files that exist in full size are kept.

    Raises InputError before anything is written if the archive is broken or a member leads outside the folder.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            _write(file, [info for info in file.infolist() if not info.is_dir()], archive, folder)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{archive}: not a complete zip file ({first_line(error)}); delete it and run the command again"
        ) from error


def _write(file: zipfile.ZipFile, members: list[zipfile.ZipInfo], archive: Path, folder: Path) -> None:
    for member in members:
        name = member.filename
        # Also check Windows' separators and drives, on any system.
        if PurePosixPath(name).is_absolute() or ".." in PureWindowsPath(name).parts or PureWindowsPath(name).anchor:
            raise InputError(
                f"{archive}: the member {name!r} leads outside the folder; get the archive from another source"
            )
    for member in members:
        target = folder / member.filename
        if target.is_file() and target.stat().st_size == member.file_size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open(member) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
