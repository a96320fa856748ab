"""`rlepose draw-people`."""

import argparse
import json
from pathlib import Path

from rlepose.commands.arguments import a_path
from rlepose.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=a_path, default=Path("data/synthetic"), help="folder to write")
    parser.add_argument("--train", type=int, default=8000, help="number of training images")
    parser.add_argument("--val", type=int, default=300, help="number of validation images")
    parser.add_argument("--seed", type=int, default=0, help="random seed; the same seed gives the same files")


def _run(args: argparse.Namespace) -> None:
    from rlepose.drawn_people.people import make_synthetic

    sizes = {"train": args.train, "val": args.val}
    if not make_synthetic(args.out, sizes, args.seed):
        print(f"{args.out} was already drawn with these arguments; nothing written")
    for split, num_images in sizes.items():
        labels = args.out / "annotations" / f"person_keypoints_{split}.json"
        num_people = len(json.loads(labels.read_text())["annotations"])
        print(f"{split}: {num_images} images in {args.out / split}, {num_people} people in {labels}")


COMMAND = Command(
    name="draw-people",
    summary="Draw the synthetic data set: JPEG files and COCO keypoint JSON for train and val",
    example="",
    add_arguments=_add_arguments,
    run=_run,
)
