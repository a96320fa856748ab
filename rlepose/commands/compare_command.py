"""`rlepose compare`."""

import argparse
import math
import sys
import time
from pathlib import Path

from rlepose.commands.arguments import add_overrides
from rlepose.commands.command import Command
from rlepose.config.shipped import find_suite
from rlepose.errors import STOPPED


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", required=True, help="YAML file of rows")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="default: the suite's")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="train these alone; the tables show what is finished")
    parser.add_argument("--out", type=Path, help="folder of all runs and tables; default: exp/<the suite's name>")
    add_overrides(parser, "for every row")
    parser.add_argument("--jobs", type=int, help="runs at a time; default: one for each CUDA device, or one")
    parser.add_argument(
        "--threads", type=int, help="of torch on the CPU in each run; default: without CUDA the runs share the cores"
    )
    parser.add_argument(
        "--hours",
        type=float,
        default=math.inf,
        help="then begin nothing more and stop trainings, which can go on later",
    )
    parser.add_argument("--overwrite", action="store_true", help="train anew what is there with another config")
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER", help="write FOLDER/SUITE/ROW_seedN.json as soon as a run is finished"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--table-only", action="store_true", help="train nothing: the tables of what is finished")
    only.add_argument(
        "--from-records", type=Path, metavar="FOLDER", help="train nothing: the tables of what --record wrote there"
    )


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    for name in ("jobs", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name}: expected at least one")
    if not args.hours >= 0:
        parser.error("--hours: expected zero or more")
    if args.record is not None and args.from_records is not None:
        parser.error("--record: --from-records trains nothing that could be recorded")


def _run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    from rlepose.comparison.record import records_of_runs
    from rlepose.comparison.record_files import read_records, write_record
    from rlepose.comparison.runs import Outcome, run_all
    from rlepose.comparison.suite import load_suite
    from rlepose.comparison.table import write_tables
    from rlepose.runtime.run_log import setup_logging

    suite = load_suite(find_suite(args.suite), args.out, args.seeds, args.set)
    suite.runs()  # what is wrong in any row is found before the first is trained
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
    print(write_tables(suite, records))
    print(f"all files are in {suite.out}")
    if args.table_only and args.record is not None:
        for record in records.found.values():
            write_record(args.record, record)
    if outcome.stopped:
        print(f"stopped; the same command goes on\n{outcome}", file=sys.stderr)
        return STOPPED
    if outcome.failed:
        print(f"failed: {', '.join(outcome.failed)}", file=sys.stderr)
        return 1
    return 0


COMMAND = Command(
    name="compare",
    summary="Train, validate and tabulate a suite",
    example="--suite configs/suites/lspet64_losses.yaml",
    details="""\
Started again, it skips what is finished and goes on with what is not. Exit codes: 0, all is finished; 75, stopped by
--hours or a signal before that, so start it again; 1, a run failed, all else is finished; 2, a wrong argument or file.
""",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
)
