"""Write docs/options.md from the packages' options.py: python scripts/list_options.py"""

import argparse
from pathlib import Path

from rlepose.config.options_page import options_page
from rlepose.errors import run_script

PAGE = Path(__file__).parent.parent / "docs" / "options.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PAGE, help="file to write (default: docs/options.md)")
    args = parser.parse_args()
    args.out.write_text(options_page(), encoding="utf-8")
    print(args.out)


if __name__ == "__main__":
    run_script(main)
