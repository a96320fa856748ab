"""Get a data set ready for its config: python scripts/prepare_data.py coco

Fetches what may be fetched without signing up, tells where to get the rest, converts annotations to COCO's layout and
checks them. An interrupted run goes on when it is started again. docs/datasets.md has the data sets and their licences.
"""

import argparse
from pathlib import Path

from rlepose.errors import run_script
from rlepose.preparation.prepare import prepare
from rlepose.preparation.sources import SOURCES
from rlepose.runtime.run_log import setup_logging


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SOURCES, help="the data set")
    parser.add_argument("--root", type=Path, help="its folder (default: the one that the config names)")
    parser.add_argument(
        "--source", type=Path, metavar="CLONE", help="livestock: folder of a checkout of its repository"
    )
    args = parser.parse_args()

    setup_logging(is_main=True)
    source = SOURCES[args.name]
    prepare(source, args.root or Path(source.root), args.source)


if __name__ == "__main__":
    run_script(main)
