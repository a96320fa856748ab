"""Unpacking archives that came from elsewhere."""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple

from rlepose.errors import InputError, first_line


class _Member(NamedTuple):
    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path) -> None:
    """The files of a zip or tar archive, below `folder`. What is there in full size already stays.

    Raises InputError before anything is written if the archive is broken, or a member is a link or leads elsewhere.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                _write([_of_zip(file, info) for info in file.infolist() if not info.is_dir()], archive, folder)
        else:
            with tarfile.open(archive) as file:
                _write([_of_tar(file, info, archive) for info in file if not info.isdir()], archive, folder)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{archive}: not a whole zip or tar file ({first_line(error)}); delete it and fetch it again"
        ) from error


def _write(members: list[_Member], archive: Path, folder: Path) -> None:
    for member in members:
        path = PurePosixPath(member.name)
        # Windows' separators and drives count as well, whatever this runs on.
        if path.is_absolute() or ".." in PureWindowsPath(member.name).parts or PureWindowsPath(member.name).anchor:
            raise InputError(f"{archive}: its member {member.name!r} leads out of the folder; fetch it elsewhere")
    for member in members:
        target = folder / member.name
        if target.is_file() and target.stat().st_size == member.size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)


def _of_zip(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    return _Member(info.filename, info.file_size, lambda: file.open(info))


def _of_tar(file: tarfile.TarFile, info: tarfile.TarInfo, archive: Path) -> _Member:
    if not info.isfile():
        raise InputError(f"{archive}: its member {info.name!r} is a link or device; fetch it elsewhere")

    def opened() -> IO[bytes]:
        content = file.extractfile(info)
        assert content is not None
        return content

    return _Member(info.name, info.size, opened)
