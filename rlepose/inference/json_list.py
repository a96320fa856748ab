"""A JSON list that is whole after each entry, so that a run which is killed leaves what it has done."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class JsonList:
    """Write entries into a list in a new file, one a line. A context manager."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._end = self._file.write(b"[")
        self._empty = True
        self._close_list()

    def __enter__(self) -> "JsonList":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, entries: Sequence[Any]) -> None:
        """Append plain types; NaN and infinity, which JSON does not have, are a ValueError."""
        if not entries:
            return
        text = ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries)
        self._file.seek(self._end)
        self._end += self._file.write(f"{'' if self._empty else ','}\n{text}".encode())
        self._empty = False
        self._close_list()

    def _close_list(self) -> None:
        self._file.write(b"\n]\n")
        self._file.flush()  # in one write with what stands before it, unless an entry is larger than the buffer
