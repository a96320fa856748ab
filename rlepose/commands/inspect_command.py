"""`rlepose inspect`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import a_path
from rlepose.commands.command import Command
from rlepose.errors import InputError
from rlepose.outputs import Output


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("annotations", type=a_path, help="COCO-format file with keypoints")
    parser.add_argument("--images", type=a_path, help="folder of its images; draws samples and writes a config")
    parser.add_argument(
        "--category",
        nargs="+",
        metavar="NAME",
        help="categories to use, or 'all', if several categories have keypoints",
    )
    parser.add_argument("--val", type=a_path, help="annotation file for validation, for the config")
    parser.add_argument(
        "--val-images", type=a_path, help="folder of the validation images; default: the folder of --images"
    )
    parser.add_argument("--out", type=a_path, default=Path("inspection"), help="folder to write to")


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.val and not args.images:
        raise InputError("--val: only used for the config, which needs the images; add --images FOLDER")


def _writes(args: argparse.Namespace) -> list[Output]:
    return [Output(args.out, "--out FOLDER")]


def _run(args: argparse.Namespace) -> int:
    from rlepose.inspection.inspect_dataset import inspect_dataset
    from rlepose.runtime.run_log import setup_logging

    setup_logging(is_main=True)
    val = (args.val, args.val_images or args.images) if args.val else None
    category = args.category[0] if args.category and len(args.category) == 1 else args.category
    report = inspect_dataset(args.annotations, args.images, args.out, category, val)
    return 1 if report["problems"] else 0


COMMAND = Command(
    name="inspect",
    summary="Check a keypoint file before training",
    example="FILE.json --images FOLDER",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
    writes=_writes,
)
