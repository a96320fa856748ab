"""Write a page about experiments, side by side: python scripts/report.py exp/NAME [exp/OTHER …] --out report.html"""

import argparse
from pathlib import Path

from rlepose.errors import run_script
from rlepose.reporting.measure import measure_all
from rlepose.reporting.report import write_report
from rlepose.runtime.run_log import setup_logging


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs="+", type=Path, metavar="EXP", help="folder that training made")
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="file to write (default: report.html)")
    parser.add_argument("--pictures", type=int, default=8, help="persons in each gallery (default: 8)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override options")
    args = parser.parse_args()
    if args.pictures < 1:
        parser.error(f"--pictures: expected at least 1, got {args.pictures}")

    setup_logging(is_main=True)
    write_report(args.out, measure_all(args.experiments, args.set, args.pictures))
    print(f"report          {args.out}")


if __name__ == "__main__":
    run_script(main)
