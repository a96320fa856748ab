"""Write a config, but never over one that somebody edited."""

import hashlib
import itertools
from pathlib import Path

_MARK = "# Rewritten by `rlepose inspect` as long as nobody edits it: "


def write_config(path: Path, text: str) -> Path:
    """Write `text`, and a last line by which later calls know whether it was edited; return the file's path.

    A file at `path` that was edited, or comes from elsewhere, stays: the text then goes to the first of NAME_2, NAME_3
    and so on that is free, or was written by this function and not edited.
    """
    others = (path.with_stem(f"{path.stem}_{number}") for number in itertools.count(2))
    target = next(file for file in itertools.chain([path], others) if not file.exists() or _is_unedited(file))
    target.write_text(f"{text}{_MARK}{_digest(text)}\n", encoding="utf-8")
    return target


def _is_unedited(path: Path) -> bool:
    try:
        text, mark, digest = path.read_text(encoding="utf-8").rpartition(_MARK)
    except (OSError, UnicodeDecodeError):
        return False
    return bool(mark) and digest.strip() == _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
