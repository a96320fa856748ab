"""Train every loss on noise of known density; measure how far from the truth what it learns remains."""

import argparse
import os
from pathlib import Path

from rlepose.errors import run_script
from rlepose.study.cases import run_cases
from rlepose.study.density import LOSS_CONFIGS
from rlepose.study.density_report import write_report
from rlepose.study.noise import NOISES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/study"), help="folder for tables, numbers and pictures")
    parser.add_argument("--seeds", type=int, default=5, help="number of trainings of each loss on each noise")
    parser.add_argument("--steps", type=int, default=1000, help="length of a training")
    parser.add_argument("--loss", nargs="+", choices=LOSS_CONFIGS, default=list(LOSS_CONFIGS), help="default: all")
    parser.add_argument("--noise", nargs="+", choices=NOISES, default=list(NOISES), help="default: all")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one for each core")
    args = parser.parse_args()

    results = run_cases(args.loss, args.noise, args.seeds, args.steps, args.processes)
    print(write_report(args.out, results))
    print(f"all files are in {args.out}")


if __name__ == "__main__":
    run_script(main)
