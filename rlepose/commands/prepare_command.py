"""`rlepose prepare`."""

import argparse
from pathlib import Path

from rlepose.commands.command import Command
from rlepose.preparation.sources import SOURCES


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=SOURCES, help="the data set")
    parser.add_argument("--root", type=Path, help="its folder (default: the one that the config names)")
    parser.add_argument(
        "--source", type=Path, metavar="CLONE", help="livestock: folder of a checkout of its repository"
    )


def _run(args: argparse.Namespace) -> None:
    from rlepose.preparation.prepare import prepare
    from rlepose.runtime.run_log import setup_logging

    setup_logging(is_main=True)
    source = SOURCES[args.name]
    prepare(source, args.root or Path(source.root), args.source)


COMMAND = Command(
    name="prepare",
    summary="Get a data set ready for its config",
    example="coco",
    details="""\
Fetches what may be fetched without signing up, tells where to get the rest, converts annotations to COCO's layout and
checks them. An interrupted run goes on when it is started again. docs/datasets.md has the data sets and their licences.
""",
    add_arguments=_add_arguments,
    run=_run,
)
