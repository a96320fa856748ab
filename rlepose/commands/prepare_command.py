"""`rlepose prepare`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import a_path
from rlepose.commands.command import Command
from rlepose.preparation.sources import SOURCES


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=SOURCES, help="the data set")
    parser.add_argument("--root", type=a_path, help="folder of the data set (default: the config's data.root)")
    parser.add_argument(
        "--source", type=a_path, metavar="CLONE", help="livestock: folder with a clone of the data set's repository"
    )


def _run(args: argparse.Namespace) -> None:
    from rlepose.preparation.prepare import prepare
    from rlepose.runtime.run_log import setup_logging

    setup_logging(is_main=True)
    source = SOURCES[args.name]
    prepare(source, args.root or Path(source.root), args.source)


COMMAND = Command(
    name="prepare",
    summary="Prepare a data set for its config",
    example="coco",
    details="""\
Downloads the files that need no registration, says where to get the rest, converts annotations to COCO's layout and
checks them. Run the command again to continue after an interruption. docs/datasets.md lists the data sets and their
licences.
""",
    add_arguments=_add_arguments,
    run=_run,
)
