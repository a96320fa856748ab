"""Train every loss on noise of known density and measure how far the learned density is from the true one."""

import argparse
import os
from pathlib import Path

from rlepose.commands.arguments import a_path
from rlepose.errors import run_script
from rlepose.study.cases import run_cases
from rlepose.study.density import LOSS_CONFIGS
from rlepose.study.density_report import write_report
from rlepose.study.noise import NOISES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=a_path, default=Path("docs/study"), help="folder for tables, numbers and figures")
    parser.add_argument("--seeds", type=int, default=5, help="number of trainings per loss and noise")
    parser.add_argument("--steps", type=int, default=1000, help="steps per training")
    parser.add_argument("--loss", nargs="+", choices=LOSS_CONFIGS, default=list(LOSS_CONFIGS), help="default: all")
    parser.add_argument("--noise", nargs="+", choices=NOISES, default=list(NOISES), help="default: all")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one per core")
    args = parser.parse_args()

    results = run_cases(args.loss, args.noise, args.seeds, args.steps, args.processes)
    print(write_report(args.out, results))
    print(f"results are in {args.out}")


if __name__ == "__main__":
    run_script(main)
