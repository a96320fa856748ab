"""Correct a checkpoint's sigma: python scripts/recalibrate.py --checkpoint exp/NAME/checkpoints/best.pt"""

import argparse
from pathlib import Path

from rlepose.config.reading import load_config, with_overrides
from rlepose.errors import run_script
from rlepose.evaluation.recalibration import METHODS
from rlepose.jobs.recalibrate import recalibrate_checkpoint
from rlepose.runtime.checkpoint import load_checkpoint, results_folder
from rlepose.runtime.distributed import ranks
from rlepose.runtime.run_log import setup_logging


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True, type=Path, help="file that training wrote")
    parser.add_argument("--method", choices=METHODS, default="joint_scale", help="kind of correction")
    parser.add_argument(
        "--fit-annotations",
        metavar="FILE",
        help="annotation file to fit on, as a whole, relative to data.root; data.val_annotations is then for judging "
        "alone; default: fit on every other picture of data.val_annotations, judge on the rest",
    )
    parser.add_argument(
        "--fit-images", metavar="FOLDER", help="its pictures, relative to data.root; default: data.val_images"
    )
    parser.add_argument("--to", type=Path, help="file to write; default: the checkpoint itself gets the correction")
    parser.add_argument("--cfg", help="YAML file to use instead of the config inside the checkpoint")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override options")
    parser.add_argument("--out", type=Path, help="folder of the diagram; default: results/ beside checkpoints/")
    args = parser.parse_args()
    if args.fit_images is not None and args.fit_annotations is None:
        parser.error("--fit-images: is of the pictures of --fit-annotations; pass that, too")

    checkpoint = load_checkpoint(args.checkpoint)
    config = load_config(args.cfg, args.set) if args.cfg else with_overrides(checkpoint.config, args.set)
    fit_on = (args.fit_annotations, args.fit_images or config.data.val_images) if args.fit_annotations else None
    with ranks(config.system) as group:
        setup_logging(group.is_main)
        out = args.out or results_folder(args.checkpoint)
        to = args.to or args.checkpoint
        recalibrate_checkpoint(args.checkpoint, config, checkpoint, args.method, to, out, group, fit_on)


if __name__ == "__main__":
    run_script(main)
