"""`rlepose split`."""

import argparse

from rlepose.commands.arguments import a_path
from rlepose.commands.command import Command
from rlepose.datasets.shares import BLOCKS, REST, parse_shares
from rlepose.outputs import Output


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("annotations", type=a_path, help="COCO-format file")
    parser.add_argument("--out", type=a_path, help="folder to write to; default: the folder of the annotations")
    parser.add_argument("--group-key", metavar="KEY", help="key of an image entry that names its group")
    parser.add_argument(
        "--blocks",
        type=int,
        metavar="N",
        help=f"without --group-key: number of contiguous blocks of images that are kept together (default: {BLOCKS})",
    )
    parser.add_argument(
        "--shares",
        nargs="+",
        default=["tune=0.1", "calibrate=0.1"],
        metavar="PART=SHARE",
        help=f"parts and their shares of the persons; the rest becomes {REST} (default: tune=0.1 calibrate=0.1)",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed; the same seed gives the same parts")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an earlier split")


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.blocks is not None and args.group_key is not None:
        parser.error("--blocks: cannot be used with --group-key; drop one of them")
    if args.blocks is not None and args.blocks < 2:
        parser.error(f"--blocks: expected 2 or more, got {args.blocks}")
    if args.seed < 0:
        parser.error(f"--seed: expected 0 or more, got {args.seed}")
    args.shares = parse_shares(args.shares)


def _writes(args: argparse.Namespace) -> list[Output]:
    return [Output(args.out or args.annotations.parent, "--out FOLDER")]


def _run(args: argparse.Namespace) -> None:
    from rlepose.preparation.split import format_parts, split_file

    out, blocks = args.out or args.annotations.parent, args.blocks or BLOCKS
    parts = split_file(args.annotations, out, args.shares, args.group_key, blocks, args.seed, args.overwrite)
    print(format_parts(parts))


COMMAND = Command(
    name="split",
    summary="Split a keypoint file into parts that share no group",
    example="FILE.json --group-key group",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
    writes=_writes,
)
