"""The file that exists and that a name without a file probably means."""

import functools
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from urllib.parse import unquote

_MOST_SUBFOLDERS = 100  # a listing each

Listing = Callable[[Path], dict[str, os.DirEntry[str]]]


def nearest_file(root: Path, name: str) -> Path | None:
    """Return the existing file that `name`, relative to the folder `root`, probably means; None if there is none.

    Names count as the same if they differ only in upper and lower case, in `\\` for `/`, in `%20` for a space, in the
    Unicode form, or in spaces around them. Folders may be missing in front of the name, or too many, as in
    images/images: of all files in `root`, its subfolders and its parent, the one that shares the most folders is
    returned. A file that differs only in its extension is taken if there is no other.
    """
    parts = [_plain(part) for part in re.split(r"[\\/]", unquote(name))]
    parts = [part for part in parts if part not in ("", ".", "..")]
    if not parts:
        return None
    root = root.resolve() if root.name in ("", "..") else root
    listing = functools.cache(_listing)
    subfolders = [Path(entry.path) for entry in listing(root).values() if entry.is_dir()][:_MOST_SUBFOLDERS]
    tries: list[tuple[Path, Sequence[str]]] = [(root, parts), (root.parent, [_plain(root.name), *parts])]
    for first in range(len(parts)):
        tries += [(folder, parts[first:]) for folder in (root, *subfolders, root.parent)]
    for same in (_same, _same_stem):
        for folder, wanted in tries:
            found = _below(folder, wanted, listing, same)
            if found is not None:
                return found
    return None


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", unquote(name).strip().casefold())


def _listing(folder: Path) -> dict[str, os.DirEntry[str]]:
    """Entries of a folder by plain name, in order of their names; none where there is no folder to read."""
    try:
        with os.scandir(folder) as entries:
            return {_plain(entry.name): entry for entry in sorted(entries, key=lambda entry: entry.name)}
    except OSError:
        return {}


def _same(there: dict[str, os.DirEntry[str]], name: str) -> os.DirEntry[str] | None:
    return there.get(name)


def _same_stem(there: dict[str, os.DirEntry[str]], name: str) -> os.DirEntry[str] | None:
    stem = PurePath(name).stem
    return next((entry for plain, entry in there.items() if PurePath(plain).stem == stem and entry.is_file()), None)


def _below(
    folder: Path,
    parts: Sequence[str],
    listing: Listing,
    same: Callable[[dict[str, os.DirEntry[str]], str], os.DirEntry[str] | None],
) -> Path | None:
    """The file at `parts` below a folder, whose last part `same` finds."""
    for part in parts[:-1]:
        entry = listing(folder).get(part)
        if entry is None or not entry.is_dir():
            return None
        folder = Path(entry.path)
    found = same(listing(folder), parts[-1])
    return Path(found.path) if found is not None and found.is_file() else None
