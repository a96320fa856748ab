"""Take over an RLE model of the authors' code or mmpose: python scripts/convert_checkpoint.py FILE --to rle_res50.pt"""

import argparse
from pathlib import Path

from rlepose.convert.checkpoint import convert_checkpoint
from rlepose.engine.logging import setup_logging
from rlepose.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="file of the other project")
    parser.add_argument("--to", required=True, type=Path, help="checkpoint to write")
    parser.add_argument(
        "--input-size", nargs=2, type=int, default=(256, 192), metavar=("H", "W"), help="crops it was trained on"
    )
    parser.add_argument("--annotations", type=Path, help="COCO-format file with its joints; default: COCO's 17")
    args = parser.parse_args()

    setup_logging(is_main=True)
    convert_checkpoint(args.checkpoint, args.to, tuple(args.input_size), args.annotations)


if __name__ == "__main__":
    run_script(main)
