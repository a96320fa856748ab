"""Write docs/options.md and docs/support.md from the package: python scripts/list_options.py"""

import argparse
from pathlib import Path

from rlepose.commands.arguments import a_path
from rlepose.config.options_page import options_page
from rlepose.config.support_page import support_page
from rlepose.errors import run_script

DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=a_path, default=DOCS, help="folder to write to (default: docs/)")
    args = parser.parse_args()
    for name, text in (("options.md", options_page()), ("support.md", support_page())):
        (args.out / name).write_text(text, encoding="utf-8")
        print(args.out / name)


if __name__ == "__main__":
    run_script(main)
