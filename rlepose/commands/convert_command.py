"""`rlepose convert`."""

import argparse

from rlepose.commands.arguments import a_path
from rlepose.commands.command import Command
from rlepose.outputs import Output


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=a_path, help="checkpoint of the other project")
    parser.add_argument("--to", required=True, type=a_path, help="checkpoint to write")
    parser.add_argument(
        "--input-size",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="height and width of the model's input, px; default: 256 192, or 256 256 for a 3-D model",
    )
    parser.add_argument(
        "--annotations", type=a_path, help="2-D: COCO-format file that names the model's joints; default: COCO's 17"
    )


def _writes(args: argparse.Namespace) -> list[Output]:
    return [Output(args.to, "--to FILE", is_folder=False)]


def _run(args: argparse.Namespace) -> None:
    from rlepose.convert.foreign_checkpoint import convert_checkpoint
    from rlepose.runtime.run_log import setup_logging

    setup_logging(is_main=True)
    input_size = None if args.input_size is None else tuple(args.input_size)
    convert_checkpoint(args.checkpoint, args.to, input_size, args.annotations)


COMMAND = Command(
    name="convert",
    summary="Convert an RLE model of the authors' code or of mmpose",
    example="FILE --to rle_res50.pt",
    add_arguments=_add_arguments,
    run=_run,
    writes=_writes,
)
