"""Published metrics, from Markdown tables with named rows."""

from collections.abc import Iterator
from pathlib import Path

from rlepose.errors import InputError
from rlepose.paths import expanded

_METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "MPJPE", "PA-MPJPE")


def published_row(folder: Path, link: str) -> str:
    """Return 'AP 70.5, AP50 88.5' for the row in a link 'FILE.md#ROW'; the file is relative to `folder`.

    Rows are in tables whose first column has the header `id`. InputError for an unknown file or row.
    """
    name, _, wanted = link.partition("#")
    path = folder / expanded(name, folder, "published")
    if not path.is_file():
        raise InputError(f"published: {link}: no file {path}; expected FILE.md#ROW")
    rows = dict(_rows(path.read_text(encoding="utf-8")))
    if wanted not in rows:
        raise InputError(f"published: {link}: {path} has no row '{wanted}'; choose from {', '.join(rows)}")
    return ", ".join(f"{metric} {rows[wanted][metric]}" for metric in _METRICS if rows[wanted].get(metric, "–") != "–")


def _rows(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip().strip("`*") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            header = []
        elif not header:
            header = cells
        elif header[0] == "id" and set(cells[0]) != {"-"}:
            yield cells[0], dict(zip(header, cells, strict=False))
