"""Write a JSON list that is valid after each entry, so that an interrupted run leaves a readable file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class JsonList:
    """Write entries into a list in a new file, one per line. A context manager."""

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
        """Append entries of plain types. Raises ValueError for NaN and infinity, which JSON lacks."""
        if not entries:
            return
        text = ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries)
        self._file.seek(self._end)
        self._end += self._file.write(f"{'' if self._empty else ','}\n{text}".encode())
        self._empty = False
        self._close_list()

    def _close_list(self) -> None:
        self._file.write(b"\n]\n")
        self._file.flush()  # together with the entry before, unless the entry exceeds the buffer
