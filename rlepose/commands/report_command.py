"""`rlepose report`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import a_path, add_overrides
from rlepose.commands.command import Command
from rlepose.outputs import Output


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiments", nargs="+", type=a_path, metavar="EXP", help="folder of an experiment")
    parser.add_argument("--out", type=a_path, default=Path("report.html"), help="file to write")
    parser.add_argument("--pictures", type=int, default=8, help="persons in each gallery")
    add_overrides(parser)


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.pictures < 1:
        parser.error(f"--pictures: expected at least 1, got {args.pictures}")


def _writes(args: argparse.Namespace) -> list[Output]:
    return [Output(args.out, "--out FILE", is_folder=False)]


def _run(args: argparse.Namespace) -> None:
    from rlepose.reporting.measure import measure_all
    from rlepose.reporting.report import write_report
    from rlepose.runtime.run_log import setup_logging

    setup_logging(is_main=True)
    write_report(args.out, measure_all(args.experiments, args.set, args.pictures))
    print(f"report          {args.out}")


COMMAND = Command(
    name="report",
    summary="Write an HTML report that compares experiments",
    example="exp/NAME [exp/OTHER …] --out report.html",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
    writes=_writes,
)
