"""`rlepose export`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import add_checkpoint, add_overrides
from rlepose.commands.command import Command
from rlepose.export.choices import FORMAT_NAMES, PRECISIONS


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument("--format", choices=FORMAT_NAMES, default="onnx", help="file format (default: %(default)s)")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="number format (default: float32); int8 is for ONNX, needs the training data, and may cost "
        "accuracy, which `rlepose validate --onnx FILE` measures",
    )
    parser.add_argument("--out", type=Path, help="file to write; default: in export/ beside checkpoints/")
    add_overrides(parser)


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
)
