"""`rlepose draw-people-3d`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import a_path
from rlepose.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=a_path, default=Path("data/synthetic_3d"), help="folder to write")
    parser.add_argument(
        "--train", type=int, default=50, help="time steps per training take; each gives 4 images, one per camera"
    )
    parser.add_argument("--test", type=int, default=15, help="time steps per test take")
    parser.add_argument("--mpii", type=int, default=1000, help="number of images without depth labels")
    parser.add_argument("--seed", type=int, default=0, help="random seed; the same seed gives the same files")


def _run(args: argparse.Namespace) -> None:
    from rlepose.drawn_people.people_in_space import make_synthetic_3d

    if not make_synthetic_3d(args.out, args.train, args.test, args.mpii, args.seed):
        print(f"{args.out} was already drawn with these arguments; nothing written")
    print(f"{160 * args.train} training and {64 * args.test} test images in {args.out / 'h36m'}")
    print(f"{args.mpii} images with only 2-D labels in {args.out / 'mpii'}")


COMMAND = Command(
    name="draw-people-3d",
    summary="Draw people in 3-D: images from four calibrated cameras in Human3.6M's format, and 2-D images in MPII's",
    example="",
    add_arguments=_add_arguments,
    run=_run,
)
