"""A local page that draws poses: python scripts/demo_web.py --checkpoint exp/NAME/checkpoints/best.pt"""

import argparse
from pathlib import Path

from rlepose.errors import run_script
from rlepose.inference import Detector, Predictor
from rlepose.runtime.run_log import setup_logging
from rlepose.web.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True, type=Path, help="file that training wrote")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 shows the page to the whole network")
    parser.add_argument("--port", type=int, default=7860, help="default: 7860")
    parser.add_argument("--detector", default="fasterrcnn_mobilenet_v3_large_fpn", help="a torchvision detector")
    parser.add_argument(
        "--detector-weights", help="its weights: a file, or torchvision's name; default: no detector, the whole picture"
    )
    parser.add_argument("--detector-threshold", type=float, default=0.5, help="least score of a person's box")
    parser.add_argument("--device", default="auto", choices=["auto", "cuda", "cpu"], help="default: CUDA if there is")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override options")
    args = parser.parse_args()
    if not args.detector_weights:
        for option in ("detector", "detector_threshold"):
            if getattr(args, option) != parser.get_default(option):
                name = option.replace("_", "-")
                parser.error(f"--{name} needs --detector-weights: a file, or DEFAULT to download torchvision's")

    setup_logging(is_main=True)
    predictor = Predictor(args.checkpoint, args.device, args.set)
    if args.detector_weights:
        predictor.detector = Detector(args.detector, args.detector_weights, args.detector_threshold, predictor.device)
    serve(predictor, args.host, args.port)


if __name__ == "__main__":
    run_script(main)
