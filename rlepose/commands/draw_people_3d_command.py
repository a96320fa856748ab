"""`rlepose draw-people-3d`."""

import argparse
from pathlib import Path

from rlepose.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("data/synthetic_3d"), help="folder to write")
    parser.add_argument("--train", type=int, default=50, help="moments of each training take, times 4 cameras")
    parser.add_argument("--test", type=int, default=15, help="moments of each take of the other subjects")
    parser.add_argument("--mpii", type=int, default=1000, help="number of pictures without depth labels")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same files")


def _run(args: argparse.Namespace) -> None:
    from rlepose.drawn_people.people_in_space import make_synthetic_3d

    if not make_synthetic_3d(args.out, args.train, args.test, args.mpii, args.seed):
        print(f"{args.out} was already made with these arguments; nothing written")
    print(f"{160 * args.train} training and {64 * args.test} test pictures in {args.out / 'h36m'}")
    print(f"{args.mpii} pictures with 2-D labels alone in {args.out / 'mpii'}")


COMMAND = Command(
    name="draw-people-3d",
    summary="Draw people in space: pictures of four calibrated cameras in Human3.6M's format, and a 2-D part in MPII's",
    example="",
    add_arguments=_add_arguments,
    run=_run,
)
