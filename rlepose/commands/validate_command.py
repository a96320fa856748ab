"""`rlepose validate`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import a_path, add_checkpoint, add_other_config, add_overrides, path_text
from rlepose.commands.command import Command
from rlepose.config.shipped import find_config
from rlepose.outputs import Output


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument("--split", choices=("val", "test-dev"), default="val", help="test-dev: write a submission file")
    add_other_config(parser)
    parser.add_argument(
        "--boxes",
        type=path_text,
        help="'gt' or a file of boxes (docs/predict.md); default: gt, and data.detections if set",
    )
    add_overrides(parser)
    parser.add_argument("--calibration", action="store_true", help="also evaluate the predicted uncertainty")
    parser.add_argument("--onnx", type=a_path, help="exported ONNX file that predicts instead of the checkpoint")
    parser.add_argument(
        "--out",
        type=a_path,
        help="folder to write to; default: results/ beside checkpoints/, with --onnx a subfolder of it",
    )


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.calibration and args.split == "test-dev":
        parser.error("--calibration: test-dev has no labels; use --split val")


def _writes(args: argparse.Namespace) -> list[Output]:
    return [Output(_out(args), "--out FOLDER")]


def _out(args: argparse.Namespace) -> Path:
    from rlepose.runtime.experiment import results_folder

    return args.out or results_folder(args.checkpoint) / (args.onnx.name if args.onnx else "")


def _run(args: argparse.Namespace) -> None:
    from rlepose.config.reading import load_config, with_overrides
    from rlepose.jobs.submit import submit_checkpoint
    from rlepose.jobs.validate import validate_checkpoint
    from rlepose.runtime.checkpoint import load_checkpoint
    from rlepose.runtime.distributed import ranks
    from rlepose.runtime.run_log import setup_logging

    checkpoint = load_checkpoint(args.checkpoint)
    config = load_config(find_config(args.cfg), args.set) if args.cfg else with_overrides(checkpoint.config, args.set)
    out = _out(args)
    with ranks(config.system) as group:
        setup_logging(group.is_main)
        if args.split == "test-dev":
            submit_checkpoint(args.checkpoint, config, checkpoint, args.boxes, out, group, args.onnx)
            return
        boxes = [args.boxes] if args.boxes else ["gt"]
        if not args.boxes and config.data.detections:
            boxes.append(str(Path(config.data.root) / config.data.detections))
        validate_checkpoint(args.checkpoint, config, checkpoint, boxes, out, group, args.calibration, args.onnx)


COMMAND = Command(
    name="validate",
    summary="Validate a checkpoint, or write COCO's test-dev submission",
    example="--checkpoint exp/coco_res50_rle/checkpoints/best.pt",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
    writes=_writes,
)
