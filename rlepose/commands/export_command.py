"""`rlepose export`."""

import argparse

from rlepose.commands.arguments import a_path, add_checkpoint, add_overrides
from rlepose.commands.command import Command
from rlepose.export.choices import FORMAT_NAMES, PRECISIONS
from rlepose.outputs import Output


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument("--format", choices=FORMAT_NAMES, default="onnx", help="file format")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="number format; int8 is for ONNX, needs the training data, and may cost accuracy, which `rlepose validate "
        "--onnx FILE` measures",
    )
    parser.add_argument("--out", type=a_path, help="file to write; default: in export/ beside checkpoints/")
    add_overrides(parser)


def _writes(args: argparse.Namespace) -> list[Output]:
    from rlepose.runtime.experiment import exports_folder

    if args.out is None:
        return [Output(exports_folder(args.checkpoint), "--out FILE")]
    return [Output(args.out, "--out FILE", is_folder=False)]


def _run(args: argparse.Namespace) -> None:
    from rlepose.config.reading import with_overrides
    from rlepose.jobs.export import export_checkpoint
    from rlepose.runtime.checkpoint import load_checkpoint
    from rlepose.runtime.run_log import setup_logging

    checkpoint = load_checkpoint(args.checkpoint)
    config = with_overrides(checkpoint.config, args.set)
    setup_logging(is_main=True)
    export_checkpoint(args.checkpoint, config, checkpoint, args.format, args.precision, args.out)


COMMAND = Command(
    name="export",
    summary="Export a checkpoint for other runtimes",
    example="--checkpoint exp/NAME/checkpoints/best.pt",
    add_arguments=_add_arguments,
    run=_run,
    writes=_writes,
)
