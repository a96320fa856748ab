"""Train, validate and tabulate a suite: python scripts/compare.py --suite configs/suites/lspet64_losses.yaml"""

import argparse
import signal
import sys
from pathlib import Path

from rlepose.comparison.runs import run_all
from rlepose.comparison.suite import load_suite
from rlepose.comparison.table import write_tables
from rlepose.engine.logging import setup_logging
from rlepose.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", required=True, help="YAML file of rows")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="default: the suite's")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="train these alone; the tables show what is finished")
    parser.add_argument("--out", type=Path, help="folder of all runs and tables; default: exp/<the suite's name>")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="for every row")
    parser.add_argument("--jobs", type=int, help="runs at a time; default: one for each CUDA device, or one")
    parser.add_argument("--overwrite", action="store_true", help="train anew what is there with another config")
    parser.add_argument("--table-only", action="store_true", help="train nothing: the tables of what is finished")
    args = parser.parse_args()
    if args.jobs is not None and args.jobs < 1:
        parser.error("--jobs: expected at least one")

    suite = load_suite(args.suite, args.out, args.seeds, args.set)
    suite.runs()  # what is wrong in any row is found before the first is trained
    setup_logging(is_main=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, as Ctrl-C does
    failed = [] if args.table_only else run_all(suite, Path(__file__).parent, args.rows, args.jobs, args.overwrite)
    print(write_tables(suite))
    print(f"all files are in {suite.out}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run_script(main)
