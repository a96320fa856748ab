"""`rlepose predict`."""

import argparse
from pathlib import Path

from rlepose.commands.arguments import add_checkpoint, add_detector, add_device, add_overrides
from rlepose.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="image, folder of images, or video")
    add_checkpoint(parser)
    parser.add_argument("--out", required=True, type=Path, help="folder to write to")
    parser.add_argument(
        "--boxes",
        default="detector",
        help="person boxes: JSON file, 'whole' image, or 'detector' (default); see docs/predict.md",
    )
    add_detector(parser, "DEFAULT", "weights of the detector: a file, or a name of torchvision's")
    parser.add_argument("--smooth", action="store_true", help="video: smooth joints over time, weighted by 1 / sigma²")
    parser.add_argument(
        "--min-score", type=float, default=0.0, help="do not draw joints with a lower score; default: 0"
    )
    add_device(parser)
    add_overrides(parser)


def _run(args: argparse.Namespace) -> int:
    from rlepose.inference import Detector, Predictor
    from rlepose.inference.boxes import read_boxes
    from rlepose.jobs.predict import predict_files
    from rlepose.runtime.run_log import setup_logging

    setup_logging(is_main=True)
    predictor = Predictor(args.checkpoint, args.device, args.set)
    boxes = args.boxes
    if boxes == "detector":
        predictor.detector = Detector(args.detector, args.detector_weights, args.detector_threshold, predictor.device)
    elif boxes != "whole":
        boxes = read_boxes(Path(boxes))
    left_out = predict_files(predictor, args.source, boxes, args.out, args.smooth, args.min_score)
    return 1 if left_out else 0


COMMAND = Command(
    name="predict",
    summary="Predict and draw the poses in images or a video",
    example="FOLDER --checkpoint exp/NAME/checkpoints/best.pt",
    add_arguments=_add_arguments,
    run=_run,
)
