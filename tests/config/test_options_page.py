from pathlib import Path

from rlepose.config.names import option_names
from rlepose.config.options_page import COMMAND, options_page

PAGE = Path(__file__).parents[2] / "docs" / "options.md"


def test_the_committed_page_is_what_is_generated() -> None:
    same = PAGE.read_text(encoding="utf-8") == options_page()
    assert same, f"docs/options.md is older than the options; renew it with: {COMMAND}"


def test_every_option_stands_on_the_page_once() -> None:
    first_cells = [line.split(" | ")[0] for line in options_page().splitlines()]
    assert sorted(cell[3:-1] for cell in first_cells if cell.startswith("| `")) == sorted(option_names())
