"""`rlepose predict`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import a_path, add_checkpoint, add_detector, add_device, add_overrides, path_text
from rlepose.commands.command import Command
from rlepose.outputs import Output


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=a_path, help="image, folder of images, or video")
    add_checkpoint(parser)
    parser.add_argument("--out", required=True, type=a_path, help="folder to write to")
    parser.add_argument(
        "--boxes",
        type=path_text,
        default="detector",
        help="person boxes: JSON or .npy file, 'whole' image, or 'detector'; see docs/predict.md",
    )
    parser.add_argument("--ids", type=a_path, help="COCO file whose image and category ids results.json uses")
    add_detector(parser, "DEFAULT", "weights of the detector: a file, or a name of torchvision's")
    parser.add_argument("--smooth", action="store_true", help="video: smooth joints over time, weighted by 1 / sigma²")
    parser.add_argument(
        "--min-score",
        type=_least_scores,
        default={},
        metavar="SCORE[,JOINT=SCORE…]",
        help="do not draw joints with a lower score (0 … 1); default: 0",
    )
    add_device(parser)
    add_overrides(parser)


def _least_scores(text: str) -> dict[str, float]:
    """'0.9,left_wrist=0.8' -> by joint, with '*' for all others."""
    least = {}
    for part in text.split(","):
        name, _, score = part.rpartition("=")
        try:
            least[name.strip() or "*"] = float(score)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a number or JOINT=NUMBER, got {part!r}") from None
    return least


def _writes(args: argparse.Namespace) -> list[Output]:
    return [Output(args.out, "--out FOLDER")]


def _run(args: argparse.Namespace) -> int:
    from rlepose.datasets.formats.box_reader import read_boxes, read_ids
    from rlepose.inference import Detector, Predictor
    from rlepose.jobs.predict import predict_files
    from rlepose.runtime.run_log import setup_logging

    setup_logging(is_main=True)
    ids = None if args.ids is None else read_ids(args.ids)
    boxes = args.boxes
    if boxes not in ("detector", "whole"):
        boxes = read_boxes(Path(boxes), ids)
    predictor = Predictor(args.checkpoint, args.device, args.set, min_score=args.min_score)
    if boxes == "detector":
        predictor.detector = Detector(args.detector, args.detector_weights, args.detector_threshold, predictor.device)
    left_out = predict_files(predictor, args.source, boxes, args.out, args.smooth, ids)
    return 1 if left_out else 0


COMMAND = Command(
    name="predict",
    summary="Predict and draw the poses in images or a video",
    example="FOLDER --checkpoint exp/NAME/checkpoints/best.pt --out poses",
    add_arguments=_add_arguments,
    run=_run,
    writes=_writes,
)
