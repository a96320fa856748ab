"""`rlepose configs`."""

import argparse

from rlepose.commands.command import Command
from rlepose.commands.output import show
from rlepose.config.shipped import first_comment, shipped_configs, shipped_folder


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suites", action="store_true", help="list the suites for `rlepose compare --suite` instead")


def _run(args: argparse.Namespace) -> None:
    found = shipped_configs("suites" if args.suites else "")
    width = max(map(len, found))
    lines = [f"{name:<{width}}  {first_comment(path)}".rstrip() for name, path in found.items()]
    show("\n".join([f"in {shipped_folder()}", *lines]))


COMMAND = Command(
    name="configs",
    summary="List the configs that come with rlepose",
    example="",
    add_arguments=_add_arguments,
    run=_run,
)
