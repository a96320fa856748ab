"""`rlepose demo-web`."""

import argparse

from rlepose.commands.arguments import add_checkpoint, add_detector, add_device, add_overrides
from rlepose.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 opens the page to the whole network",
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on")
    add_detector(
        parser,
        None,
        "weights of the detector: a file, or a name of torchvision's; default: no detector, one box around the image",
    )
    add_device(parser)
    add_overrides(parser)


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.detector_weights:
        return
    for option in ("detector", "detector_threshold"):
        if getattr(args, option) != parser.get_default(option):
            name = option.replace("_", "-")
            parser.error(f"--{name} needs --detector-weights: a file, or DEFAULT to download torchvision's")


def _run(args: argparse.Namespace) -> None:
    from rlepose.inference import Detector, Predictor
    from rlepose.runtime.run_log import setup_logging
    from rlepose.web.server import serve

    setup_logging(is_main=True)
    predictor = Predictor(args.checkpoint, args.device, args.set)
    if args.detector_weights:
        predictor.detector = Detector(args.detector, args.detector_weights, args.detector_threshold, predictor.device)
    serve(predictor, args.host, args.port)


COMMAND = Command(
    name="demo-web",
    summary="Serve a local web page that draws poses",
    example="--checkpoint exp/NAME/checkpoints/best.pt",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
)
