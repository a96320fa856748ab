"""Train a pose regressor: python scripts/train.py --cfg configs/coco_res50_rle.yaml"""

import argparse

from rlepose.config.reading import load_config
from rlepose.errors import run_script
from rlepose.jobs.train import train
from rlepose.runtime.distributed import ranks
from rlepose.runtime.run_log import setup_logging


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cfg", required=True, help="YAML file of the experiment")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override options")
    parser.add_argument("--name", help="name of the experiment's folder; default: the config file's name")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on from the experiment's last checkpoint")
    existing.add_argument(
        "--requeue", action="store_true", help="go on from a checkpoint if there is one, else begin: for schedulers"
    )
    existing.add_argument("--overwrite", action="store_true", help="delete an earlier run of the same name")
    parser.add_argument("--profile", type=int, metavar="N", help="tell what N steps wait for, record N, and stop")
    args = parser.parse_args()
    if args.profile is not None and args.profile < 1:
        parser.error("--profile: expected at least one step")

    config = load_config(args.cfg, [*args.set, *([f"name={args.name}"] if args.name else [])])
    with ranks(config.system) as group:
        setup_logging(group.is_main)
        train(config, group, args.resume, args.overwrite, args.requeue, args.profile)


if __name__ == "__main__":
    run_script(main)
