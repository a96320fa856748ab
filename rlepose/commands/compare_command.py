"""`rlepose compare`."""

import argparse
import math
import sys
import time
from typing import TYPE_CHECKING

from rlepose.commands.arguments import a_path, add_overrides, path_text
from rlepose.commands.command import Command
from rlepose.config.shipped import find_suite
from rlepose.errors import STOPPED
from rlepose.outputs import Output

if TYPE_CHECKING:
    from rlepose.comparison.suite import Suite


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", required=True, type=path_text, help="YAML file with the rows")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="default: the suite's")
    parser.add_argument(
        "--rows", nargs="+", metavar="ROW", help="train only these rows; the tables show all finished ones"
    )
    parser.add_argument("--out", type=a_path, help="folder for runs and tables; default: exp/<the suite's name>")
    add_overrides(parser, "for every row")
    parser.add_argument("--jobs", type=int, help="parallel runs; default: one per CUDA device, else one")
    parser.add_argument(
        "--threads",
        type=int,
        help="CPU threads of torch in each run; default: without CUDA, an equal share of the cores",
    )
    parser.add_argument(
        "--hours",
        type=float,
        default=math.inf,
        help="after this time, start no run and stop running ones, which can be resumed; default: no limit",
    )
    parser.add_argument("--overwrite", action="store_true", help="retrain runs that exist with another config")
    parser.add_argument(
        "--record", type=a_path, metavar="FOLDER", help="write FOLDER/SUITE/ROW_seedN.json as soon as a run finishes"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--table-only", action="store_true", help="train nothing; make the tables from finished runs")
    only.add_argument(
        "--from-records",
        type=a_path,
        metavar="FOLDER",
        help="train nothing; make the tables from the files that --record wrote",
    )


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    for name in ("jobs", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name}: expected at least one value")
    if not args.hours >= 0:
        parser.error("--hours: expected 0 or more")
    if args.record is not None and args.from_records is not None:
        parser.error("--record: cannot be used with --from-records, which runs nothing to record; drop one of them")


def _writes(args: argparse.Namespace) -> list[Output]:
    suite = _suite(args)
    trains = not args.table_only and args.from_records is None
    folders = [Output(suite.out, "--out FOLDER"), *([Output(suite.runs_in, "--out FOLDER")] if trains else [])]
    return folders if args.record is None else [*folders, Output(args.record, "--record FOLDER")]


def _suite(args: argparse.Namespace) -> "Suite":
    from rlepose.comparison.suite import load_suite

    return load_suite(find_suite(args.suite), args.out, args.seeds, args.set)


def _run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    from rlepose.comparison.record import records_of_runs
    from rlepose.comparison.record_files import read_records, write_record
    from rlepose.comparison.runs import Outcome, run_all
    from rlepose.comparison.table import write_tables
    from rlepose.runtime.run_log import setup_logging

    suite = _suite(args)
    suite.runs()  # finds errors in any row before the first row is trained
    setup_logging(is_main=True)
    outcome = Outcome()
    if not args.table_only and args.from_records is None:
        outcome = run_all(
            suite,
            args.rows,
            jobs=args.jobs,
            threads=args.threads,
            overwrite=args.overwrite,
            until=started + 3600 * args.hours,
            records=args.record,
        )
    records = records_of_runs(suite) if args.from_records is None else read_records(args.from_records, suite)
    write_tables(suite, records)
    print(f"results are in {suite.out}")
    if args.table_only and args.record is not None:
        for record in records.found.values():
            write_record(args.record, record)
    if outcome.stopped:
        print(f"stopped; run the same command again to continue\n{outcome}", file=sys.stderr)
        return STOPPED
    if outcome.failed:
        print(f"failed: {', '.join(outcome.failed)}", file=sys.stderr)
        return 1
    return 0


COMMAND = Command(
    name="compare",
    summary="Train and validate every row of a suite and tabulate the results",
    example="--suite configs/suites/lspet64_losses.yaml",
    details="""\
Started again, the command skips finished runs and resumes interrupted ones. Exit codes: 0, all runs are finished; 75,
--hours or a signal stopped the command, so start it again; 1, a run failed and all others are finished; 2, an argument
or a file is wrong.
""",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
    writes=_writes,
)
