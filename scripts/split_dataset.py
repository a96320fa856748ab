"""Split a keypoint file into parts that share no group: python scripts/split_dataset.py FILE.json --group-key group"""

import argparse
import re
from pathlib import Path

from rlepose.datasets.groups import REST
from rlepose.errors import InputError, run_script
from rlepose.preparation.split import BLOCKS, format_parts, split_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("annotations", type=Path, help="COCO-format file")
    parser.add_argument("--out", type=Path, help="folder to write to; default: that of the file")
    parser.add_argument("--group-key", metavar="KEY", help="key of an image that says which pictures belong together")
    parser.add_argument(
        "--blocks",
        type=int,
        metavar="N",
        help=f"without --group-key: contiguous blocks of the file's order that stay together (default: {BLOCKS})",
    )
    parser.add_argument(
        "--shares",
        nargs="+",
        default=["tune=0.1", "calibrate=0.1"],
        metavar="PART=SHARE",
        help=f"parts and their shares of the persons; the rest is the part {REST} (default: tune=0.1 calibrate=0.1)",
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same parts")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an earlier split")
    args = parser.parse_args()
    if args.blocks is not None and args.group_key is not None:
        parser.error("--blocks: the pictures' groups stay together instead; leave it out, or --group-key")
    if args.blocks is not None and args.blocks < 2:
        parser.error(f"--blocks: expected 2 or more, got {args.blocks}")
    if args.seed < 0:
        parser.error(f"--seed: expected 0 or more, got {args.seed}")

    out, blocks = args.out or args.annotations.parent, args.blocks or BLOCKS
    parts = split_file(
        args.annotations, out, parse_shares(args.shares), args.group_key, blocks, args.seed, args.overwrite
    )
    print(format_parts(parts))


def parse_shares(words: list[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            share = float(value)
        except ValueError:
            share = 0.0
        if not re.fullmatch(r"\w+", name) or name in (REST, *shares) or not 0 < share < 1:
            raise InputError(
                f"--shares: expected PART=SHARE with a share above 0 and below 1, each part once and none named "
                f"{REST}, got {word}"
            )
        shares[name] = share
    if sum(shares.values()) >= 1:
        raise InputError(f"--shares: {' '.join(words)} leave nothing to train on; lower them to below 1 together")
    return shares


if __name__ == "__main__":
    run_script(main)
