"""Building blocks of a self-contained HTML page: tables, embedded pictures, the frame."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import cv2

from rlepose.drawing.overlays import Picture

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 0 1rem 3rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
nav a { margin-right: .9rem; white-space: nowrap; }
.wide { overflow-x: auto; } .wide img { min-width: 42rem; }
.row { display: flex; flex-wrap: wrap; gap: .6rem; align-items: flex-start; }
.row img { max-width: min(100%, var(--width)); }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .15rem .5rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tbody tr:nth-child(even) { background: var(--soft); }
img { max-width: 100%; height: auto; display: block; border-radius: 4px; background: #fff; }
h1, h3, .note { overflow-wrap: anywhere; }
.note { opacity: .75; max-width: 52rem; }
@media print {
  body { font-size: 10pt; max-width: none; } nav { display: none; }
  img, tr, h2, h3 { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .wide { overflow: visible; } .wide img { min-width: 0; }
  th, td { padding: .1rem .3rem; }
}
"""


def page(title: str, sections: Sequence[tuple[str, str]]) -> str:
    """Return a whole document. sections: heading and HTML of each, with links at the top."""
    links = " ".join(f'<a href="#s{number}">{escape(name)}</a>' for number, (name, _) in enumerate(sections))
    body = "\n".join(
        f'<section id="s{number}"><h2>{escape(name)}</h2>\n{content}</section>'
        for number, (name, content) in enumerate(sections)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>\n<nav>{links}</nav>\n{body}\n</body></html>\n"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table. Cells are text or numbers; None and NaN become a dash."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell(value))}</td>" for value in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>\n'


def cell(value: object) -> str:
    """Return '0.733', '1,090', a dash for an undefined value, or the text."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def heading(text: str) -> str:
    """Return a heading within a section."""
    return f"<h3>{escape(text)}</h3>\n"


def note(text: str) -> str:
    """Return an explanatory paragraph."""
    return f'<p class="note">{escape(text)}</p>\n'


def row(images: Sequence[str], width_rem: float) -> str:
    """Return images side by side as far as there is room, none wider than width_rem."""
    return f'<div class="row" style="--width: {width_rem:g}rem">{"".join(images)}</div>\n'


def wide(image: str) -> str:
    """Return a detailed image, which scrolls on a narrow screen instead of shrinking."""
    return f'<div class="wide">{image}</div>\n'


def figure_image(figure: "Figure", text: str) -> str:
    """Embed a figure; `text` describes it for screen readers."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return _image(buffer.getvalue(), "png", text)


def picture_image(picture: Picture, text: str) -> str:
    """Embed a photograph or drawing, RGB (h, w, 3)."""
    written, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert written
    return _image(data.tobytes(), "jpeg", text)


def _image(data: bytes, image_format: str, text: str) -> str:
    return f'<img alt="{escape(text)}" src="data:image/{image_format};base64,{base64.b64encode(data).decode()}">\n'
