"""Draw people in space: pictures of four calibrated cameras in Human3.6M's format, and a 2-D part in MPII's."""

import argparse
from pathlib import Path

from rlepose.drawn_people.people_in_space import make_synthetic_3d
from rlepose.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/synthetic_3d"), help="folder to write")
    parser.add_argument("--train", type=int, default=50, help="moments of each training take, times 4 cameras")
    parser.add_argument("--test", type=int, default=15, help="moments of each take of the other subjects")
    parser.add_argument("--mpii", type=int, default=1000, help="number of pictures without depth labels")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same files")
    options = parser.parse_args()
    if not make_synthetic_3d(options.out, options.train, options.test, options.mpii, options.seed):
        print(f"{options.out} was already made with these arguments; nothing written")
    print(f"{160 * options.train} training and {64 * options.test} test pictures in {options.out / 'h36m'}")
    print(f"{options.mpii} pictures with 2-D labels alone in {options.out / 'mpii'}")


if __name__ == "__main__":
    run_script(main)
