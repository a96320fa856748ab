"""`rlepose recalibrate`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import add_checkpoint, add_other_config, add_overrides
from rlepose.commands.command import Command
from rlepose.config.shipped import find_config
from rlepose.evaluation.choices import METHODS


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument("--method", choices=METHODS, default="joint_scale", help="form of the correction")
    parser.add_argument(
        "--fit-annotations",
        metavar="FILE",
        help="annotation file to fit on, relative to data.root; data.val_annotations then only judges the result; "
        "default: fit on every second image of data.val_annotations and judge on the rest",
    )
    parser.add_argument(
        "--fit-images",
        metavar="FOLDER",
        help="images of --fit-annotations, relative to data.root; default: data.val_images",
    )
    parser.add_argument(
        "--to", type=Path, help="file to write; default: write the correction into the checkpoint itself"
    )
    add_other_config(parser)
    add_overrides(parser)
    parser.add_argument("--out", type=Path, help="folder for the diagram; default: results/ beside checkpoints/")


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.fit_images is not None and args.fit_annotations is None:
        parser.error("--fit-images: only used with --fit-annotations; add --fit-annotations FILE")


def _run(args: argparse.Namespace) -> None:
    from rlepose.config.reading import load_config, with_overrides
    from rlepose.jobs.recalibrate import recalibrate_checkpoint
    from rlepose.runtime.checkpoint import load_checkpoint, results_folder
    from rlepose.runtime.distributed import ranks
    from rlepose.runtime.run_log import setup_logging

    checkpoint = load_checkpoint(args.checkpoint)
    config = load_config(find_config(args.cfg), args.set) if args.cfg else with_overrides(checkpoint.config, args.set)
    fit_on = (args.fit_annotations, args.fit_images or config.data.val_images) if args.fit_annotations else None
    with ranks(config.system) as group:
        setup_logging(group.is_main)
        out = args.out or results_folder(args.checkpoint)
        to = args.to or args.checkpoint
        recalibrate_checkpoint(args.checkpoint, config, checkpoint, args.method, to, out, group, fit_on)


COMMAND = Command(
    name="recalibrate",
    summary="Recalibrate the sigma of a checkpoint",
    example="--checkpoint exp/NAME/checkpoints/best.pt",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
)
