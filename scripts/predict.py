"""Draw the poses of pictures or a video: python scripts/predict.py FOLDER --checkpoint exp/NAME/checkpoints/best.pt"""

import argparse
import sys
from pathlib import Path

from rlepose.errors import run_script
from rlepose.inference import Detector, Predictor
from rlepose.inference.boxes import read_boxes
from rlepose.jobs.predict import predict_files
from rlepose.runtime.run_log import setup_logging


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="picture, folder of pictures, or video")
    parser.add_argument("--checkpoint", required=True, type=Path, help="file that training wrote")
    parser.add_argument("--out", required=True, type=Path, help="folder to write to")
    parser.add_argument(
        "--boxes", default="detector", help="JSON file, 'whole' picture, or 'detector' (default): docs/predict.md"
    )
    parser.add_argument("--detector", default="fasterrcnn_mobilenet_v3_large_fpn", help="a torchvision detector")
    parser.add_argument("--detector-weights", default="DEFAULT", help="its weights: a file, or torchvision's name")
    parser.add_argument("--detector-threshold", type=float, default=0.5, help="least score of a person's box")
    parser.add_argument("--smooth", action="store_true", help="video: follow joints over time, weighted by 1 / sigma²")
    parser.add_argument("--min-score", type=float, default=0.0, help="draw no joint of a lower score; default: 0")
    parser.add_argument("--device", default="auto", choices=["auto", "cuda", "cpu"], help="default: CUDA if there is")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override options")
    args = parser.parse_args()

    setup_logging(is_main=True)
    predictor = Predictor(args.checkpoint, args.device, args.set)
    boxes = args.boxes
    if boxes == "detector":
        predictor.detector = Detector(args.detector, args.detector_weights, args.detector_threshold, predictor.device)
    elif boxes != "whole":
        boxes = read_boxes(Path(boxes))
    left_out = predict_files(predictor, args.source, boxes, args.out, args.smooth, args.min_score)
    sys.exit(1 if left_out else 0)


if __name__ == "__main__":
    run_script(main)
