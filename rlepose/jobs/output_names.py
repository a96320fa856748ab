"""Name the files of predictions: all names differ, and none exists already."""

from collections.abc import Sequence
from pathlib import Path

from rlepose.drawing.film_writer import choose_writer
from rlepose.errors import InputError
from rlepose.inference.films import is_film

RESULTS, LEFT_OUT = "results.json", "left_out.txt"


def output_names(files: Sequence[Path]) -> dict[Path, str]:
    """Return a name for each file: its own if possible; for a film, one with the suffix of the written format.

    PGM has no colour, and OpenCV does not write PIL's other formats: such pictures become PNGs, a.pgm.png. A name that
    is taken gets a number, a_2.png.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for file in sorted(files, key=lambda file: (_is_written_otherwise(file), file)):  # their own names first
        name = _name(file)
        stem, suffix = name.rsplit(".", 1)
        number = 1
        while name.lower() in taken:  # as on disks that ignore case
            number += 1
            name = f"{stem}_{number}.{suffix}"
        taken.add(name.lower())
        names[file] = name
    return names


_WRITTEN = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".jp2"}


def _is_written_otherwise(file: Path) -> bool:
    return is_film(file) or file.suffix.lower() not in _WRITTEN


def _name(file: Path) -> str:
    if is_film(file):
        return file.stem + choose_writer().suffix
    return f"{file.name}.png" if _is_written_otherwise(file) else file.name


def name_in_space(name: str) -> str:
    """Return the name of the picture that shows the same persons in 3-D."""
    return f"{Path(name).stem}_space.png"


def make_folder(out: Path, names: Sequence[str]) -> None:
    """Create the folder of results; InputError if it already has files of these names, or results."""
    there = [name for name in (RESULTS, LEFT_OUT, *names) if (out / name).exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise InputError(f"--out: {out} has {there[0]}{more} already, which is never replaced; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
