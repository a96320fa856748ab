"""Find a picture's entry in a file by its name, with as many of its folders as distinguish it from others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


class Found(NamedTuple, Generic[Value]):
    """The entry of a picture, or the names of several entries any of which could name the picture."""

    value: Value | None
    several: tuple[str, ...] = ()


class ByFileName(Generic[Value]):
    """Values by file names, which may include folders."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self._alike: dict[str, list[str]] = {}
        for name in values:
            self._alike.setdefault(Path(name).name, []).append(name)

    def find_film(self, path: str) -> Found[Value]:
        """Find like `find`; for a frame of a film, film.mp4#3, without an entry of its own, the entry of the film."""
        film, mark, number = path.rpartition("#")
        found = self.find(path)
        return self.find(film) if found == Found(None) and mark and number.isdecimal() else found

    def find(self, name: str) -> Found[Value]:
        """Find the entry whose name is the end of a picture's path, else by a file name that occurs only once."""
        path = Path(name).absolute()
        names = self._alike.get(path.name, [])
        if not names:
            return Found(None)
        best = max(names, key=lambda name: _parts_at_end(path, Path(name)))
        if len(names) > 1 and not _parts_at_end(path, Path(best)):
            return Found(None, tuple(names))
        return Found(self.values[best])


def _parts_at_end(path: Path, end: Path) -> int:
    """Return the number of components of `end` if the path ends with it, else 0."""
    return len(end.parts) if path.parts[-len(end.parts) :] == end.parts else 0
