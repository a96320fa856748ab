"""Write a checkpoint for other runtimes: python scripts/export.py --checkpoint exp/NAME/checkpoints/best.pt"""

import argparse
import typing
from pathlib import Path

from rlepose.config.reading import with_overrides
from rlepose.errors import run_script
from rlepose.export.description import Precision
from rlepose.export.formats import FORMATS
from rlepose.jobs.export import export_checkpoint
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.run_log import setup_logging


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True, type=Path, help="file that training wrote")
    parser.add_argument("--format", choices=FORMATS, default="onnx", help="kind of file (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=typing.get_args(Precision), default="float32", help="int8: for ONNX, needs training data"
    )
    parser.add_argument("--out", type=Path, help="file to write; default: in export/ beside checkpoints/")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override options")
    args = parser.parse_args()

    checkpoint = load_checkpoint(args.checkpoint)
    config = with_overrides(checkpoint.config, args.set)
    setup_logging(is_main=True)
    export_checkpoint(args.checkpoint, config, checkpoint, args.format, args.precision, args.out)


if __name__ == "__main__":
    run_script(main)
