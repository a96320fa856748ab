"""`rlepose recalibrate`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import a_path, add_checkpoint, add_other_config, add_overrides
from rlepose.commands.command import Command
from rlepose.config.shipped import find_config
from rlepose.evaluation.choices import METHODS
from rlepose.outputs import Output


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
        "--to", type=a_path, help="file to write; default: write the correction into the checkpoint itself"
    )
    add_other_config(parser)
    add_overrides(parser)
    parser.add_argument("--out", type=a_path, help="folder for the diagram; default: results/ beside checkpoints/")


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.fit_images is not None and args.fit_annotations is None:
        parser.error("--fit-images: only used with --fit-annotations; add --fit-annotations FILE")


def _writes(args: argparse.Namespace) -> list[Output]:
    corrected = Output(args.checkpoint.parent, "--to FILE")
    if args.to is not None:
        corrected = Output(args.to, "--to FILE", is_folder=False)
    return [corrected, Output(_out(args), "--out FOLDER")]


def _out(args: argparse.Namespace) -> Path:
    from rlepose.runtime.experiment import results_folder

    return args.out or results_folder(args.checkpoint)


def _run(args: argparse.Namespace) -> None:
    from rlepose.config.reading import load_config, with_overrides
    from rlepose.jobs.recalibrate import recalibrate_checkpoint
    from rlepose.paths import expanded
    from rlepose.runtime.checkpoint import load_checkpoint
    from rlepose.runtime.distributed import ranks
    from rlepose.runtime.run_log import setup_logging

    checkpoint = load_checkpoint(args.checkpoint)
    config = load_config(find_config(args.cfg), args.set) if args.cfg else with_overrides(checkpoint.config, args.set)
    fit_on, root = None, config.data.root
    if args.fit_annotations is not None:
        images = expanded(args.fit_images, root, "--fit-images") if args.fit_images else config.data.val_images
        fit_on = (expanded(args.fit_annotations, root, "--fit-annotations"), images)
    with ranks(config.system) as group:
        setup_logging(group.is_main)
        to = args.to or args.checkpoint
        recalibrate_checkpoint(args.checkpoint, config, checkpoint, args.method, to, _out(args), group, fit_on)


COMMAND = Command(
    name="recalibrate",
    summary="Recalibrate the sigma of a checkpoint",
    example="--checkpoint exp/NAME/checkpoints/best.pt",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
    writes=_writes,
)
